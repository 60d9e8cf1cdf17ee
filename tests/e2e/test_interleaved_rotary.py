"""Rotary embeddings of neighbouring columns become one operator: both exporters, standard and onnxruntime's own.

GPT-J and CodeGen rotate half of each head, with heads after the sequence; RoFormer all of it, with heads before the
sequence; the last is the original Llama's rotation without complex numbers.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from onnxopt.runtime.evaluate import run_small
from onnxopt.targets.load import load_target
from tests.passes import support

HEADS, WIDTH, ROTATED, LAYERS, CONTEXT = 4, 16, 8, 2, 32
SIZE = HEADS * WIDTH
PIPELINES = {
    "standard": ("raise-opset{version=23}, O2", "generic"),
    "onnxruntime's own": ("O2, lower", "ort-cpu"),
}


def _llama() -> Any:
    import torch

    class Rotation(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.project = torch.nn.Linear(SIZE, SIZE)
            frequencies = 1 / (10000 ** (torch.arange(0, WIDTH, 2) / WIDTH))
            angles = torch.outer(torch.arange(CONTEXT).float(), frequencies)
            self.register_buffer("cos", angles.cos())
            self.register_buffer("sin", angles.sin())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            batch, sequence, _ = x.shape
            pairs = self.project(x).reshape(batch, sequence, HEADS, -1, 2)
            a, b = pairs.unbind(-1)
            cos, sin = self.cos[:sequence, None], self.sin[:sequence, None]  # type: ignore[index]
            return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(3)

    return Rotation()


def _transformer(name: str) -> Any:
    import torch
    import transformers

    shared: dict[str, Any] = {
        "vocab_size": 99,
        "attn_implementation": "eager",
        "initializer_range": 0.3,
    }
    causal: dict[str, Any] = {
        "n_positions": CONTEXT,
        "n_embd": SIZE,
        "n_layer": LAYERS,
        "n_head": HEADS,
    }
    if name == "RoFormer":
        config = transformers.RoFormerConfig(
            hidden_size=SIZE,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            intermediate_size=SIZE,
            max_position_embeddings=CONTEXT,
            **shared,
        )
    else:
        maker = getattr(transformers, f"{name}Config")
        config = maker(rotary_dim=ROTATED, n_ctx=CONTEXT, use_cache=False, **causal, **shared)
    model = getattr(transformers, f"{name}Model")(config)

    class States(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> Any:
            return self.model(input_ids=tokens, attention_mask=mask).last_hidden_state

    return States()


def _exported(name: str, dynamo: bool, file: Path) -> onnx.ModelProto:
    import torch

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    torch.manual_seed(0)
    module = (_llama() if name == "Llama" else _transformer(name)).eval()
    tokens = torch.ones(2, 7, dtype=torch.int64)
    arguments: tuple[Any, ...] = (
        (torch.randn(2, 7, SIZE),) if name == "Llama" else (tokens, torch.ones_like(tokens))
    )
    names = ["x", "mask"][: len(arguments)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            dims = {0: torch.export.Dim("batch"), 1: torch.export.Dim("sequence")}
            program = torch.onnx.export(
                module,
                arguments,
                dynamo=True,
                verbose=False,
                input_names=names,
                dynamic_shapes=(dims,) * len(arguments),
            )
            assert program is not None
            proto: onnx.ModelProto = program.model_proto
            return proto
        torch.onnx.export(
            module,
            arguments,
            file,
            dynamo=False,
            opset_version=17,
            input_names=names,
            dynamic_axes={n: {0: "batch", 1: "sequence"} for n in names},
        )
    return onnx.load(file)


def _feeds(model: onnx.ModelProto, batch: int, sequence: int) -> dict[str, support.Array]:
    rng = np.random.default_rng(batch + 10 * sequence)
    if len(model.graph.input) == 1:
        return {"x": 2 * rng.standard_normal((batch, sequence, SIZE)).astype(np.float32)}
    mask = np.ones((batch, sequence), np.int64)
    mask[0, sequence // 2 + 1 :] = 0
    return {"x": rng.integers(0, 99, (batch, sequence)), "mask": mask}


@pytest.mark.parametrize("dynamo", [False, True], ids=["torchscript", "dynamo"])
@pytest.mark.parametrize("name", ["GPTJ", "CodeGen", "RoFormer", "Llama"])
def test_one_operator(name: str, dynamo: bool, tmp_path: Path) -> None:
    before = _exported(name, dynamo, tmp_path / "model.onnx")
    for pipeline, target in PIPELINES.values():
        outcome = support.optimise(before, pipeline, target=load_target(target))
        after = support.result(outcome)
        made = [node for node in after.graph.node if node.op_type == "RotaryEmbedding"]
        assert len(made) == (1 if name == "Llama" else 2 * LAYERS)
        for node in made:
            given = {a.name: a.i for a in node.attribute}
            assert given["interleaved"] == 1
            partial = ROTATED if name in ("GPTJ", "CodeGen") else 0
            assert given.get("rotary_embedding_dim", 0) == partial
        for batch, sequence in ((2, 7), (1, 5), (3, 1)):
            feeds = _feeds(before, batch, sequence)
            for want, got in zip(run_small(before, feeds), run_small(after, feeds), strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
