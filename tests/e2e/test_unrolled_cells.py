"""Loops over torch's recurrent cells become one operator: both exporters, with and without biases."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from onnxopt.runtime.evaluate import run_small
from tests.passes import support

BATCH, STEPS, WIDTH, SIZE = 3, 6, 7, 5


def _module(kind: str, bias: bool, zeros: bool, every: bool) -> Any:
    import torch

    class Loop(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            cells = {"GRU": torch.nn.GRUCell, "LSTM": torch.nn.LSTMCell}
            self.cell = cells[kind](WIDTH, SIZE, bias=bias)

        def forward(self, x: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
            hidden = torch.zeros_like(start) if zeros else start
            state: Any = (hidden, hidden) if kind == "LSTM" else hidden
            found = []
            for t in range(STEPS):
                state = self.cell(x[:, t], state)
                found.append(state[0] if kind == "LSTM" else state)
            return torch.stack(found, 1) if every else found[-1]

    torch.manual_seed(0)
    return Loop().eval()


def _exported(module: Any, dynamo: bool, file: Path) -> onnx.ModelProto:
    import torch

    names = ["x", "start"]
    arguments = (torch.randn(BATCH, STEPS, WIDTH), torch.randn(BATCH, SIZE))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            batch = {0: torch.export.Dim("batch")}
            program = torch.onnx.export(
                module, arguments, dynamo=True, verbose=False, dynamic_shapes=(batch, batch)
            )
            assert program is not None
            proto: onnx.ModelProto = program.model_proto
            return proto
        axes = {name: {0: "batch"} for name in names}
        torch.onnx.export(
            module,
            arguments,
            file,
            dynamo=False,
            opset_version=17,
            input_names=names,
            dynamic_axes=axes,
        )
    return onnx.load(file)


@pytest.mark.parametrize("dynamo", [False, True], ids=["torchscript", "dynamo"])
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
@pytest.mark.parametrize(
    ("bias", "zeros", "every"), [(True, False, False), (False, False, True), (True, True, True)]
)
def test_one_operator(
    kind: str, dynamo: bool, bias: bool, zeros: bool, every: bool, tmp_path: Path
) -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    before = _exported(_module(kind, bias, zeros, every), dynamo, tmp_path / "m.onnx")
    after = support.result(support.optimise(before, "O2"))
    found = support.op_types(after.graph)
    assert found[kind] == 1
    assert not found["Sigmoid"] + found["Gemm"] + found["MatMul"] + found["Gather"] * (not every)
    rng = np.random.default_rng(1)
    for batch in (1, 4):
        feeds = {"x": 2 * rng.standard_normal((batch, STEPS, WIDTH))}
        feeds["start"] = rng.standard_normal((batch, SIZE))
        feeds = {name: array.astype(np.float32) for name, array in feeds.items()}
        wanted, got = run_small(before, feeds), run_small(after, feeds)
        np.testing.assert_allclose(got[0], wanted[0], rtol=1e-5, atol=1e-6)
