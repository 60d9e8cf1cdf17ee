"""``torch.nn.MultiheadAttention`` and ``TransformerEncoderLayer`` become attention operators, from both exporters.

With weights asked for they multiply over ``[batch * heads, sequence, width]``; without, over four axes with the sequence
before the batch afterwards.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import models
import onnxopt

FORMS = ["weights", "sdpa", "masked", "padded", "cross", "first", "layer"]
WIDTH, HEADS = 16, 2


def built(form: str) -> Any:
    """A module with two heads, five tokens and two sequences; attention to seven other tokens for ``cross``."""
    import torch
    from torch import nn

    from models.build import Built

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.MultiheadAttention(WIDTH, HEADS, batch_first=form != "first")

        def forward(self, x: torch.Tensor, other: torch.Tensor | None = None) -> torch.Tensor:
            keys = other if form == "cross" and other is not None else x
            masks = {"masked": "attn_mask", "padded": "key_padding_mask"}
            given = {masks[form]: other} if form in masks else {}
            out: torch.Tensor = self.inner(x, keys, keys, need_weights=form != "sdpa", **given)[0]
            return out

    torch.manual_seed(1)
    others = {
        "cross": torch.randn(2, 7, WIDTH),
        "masked": torch.randn(5, 5),
        "padded": torch.tensor([[False] * 5, [False] * 3 + [True] * 2]),
    }
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, batch_first=True)
    second = (others[form],) if form in others else ()
    return Built(
        module=(layer if form == "layer" else Wrapped()).eval(),
        example_inputs=(torch.randn(2, 5, WIDTH), *second),
        input_names=("x", "other")[: 1 + len(second)],
        output_names=("y",),
        dynamic_axes={"x": {1 if form == "first" else 0: "batch"}} if not second else {},
        fixed_arguments=len(second) + 1,
        specialised=(),
        limits=(),
    )


@pytest.mark.parametrize("exporter", models.EXPORTERS)
@pytest.mark.parametrize("form", FORMS)
def test_it_becomes_one_operator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, exporter: models.Exporter
) -> None:
    pytest.importorskip("torch")
    import torch

    from models.exporting import export_built

    # Neither exporter knows the one operator that torch computes all of it in.
    monkeypatch.setattr(torch.backends.mha, "get_fastpath_enabled", lambda: False)
    if (form, exporter) == ("layer", "torchscript"):
        pytest.skip("that exporter cannot trace its attention")
    made = built(form)
    # Rows that are masked entirely, which generated masks have, are NaN before and not afterwards.
    feeds = {n: v.numpy() for n, v in zip(made.input_names, made.example_inputs, strict=True)}
    source = export_built(made, tmp_path / "model.onnx", exporter=exporter)
    for name, options in (
        ("MultiHeadAttention", {"target": "ort-cpu"}),
        ("Attention", {"opset": 23}),
    ):
        done = onnxopt.optimize(source, tmp_path / f"{name}.onnx", feeds=[feeds], **options)
        found = {op.rpartition(".")[2]: count for op, count in done.after.ops.items()}
        assert found.get(name) == 1, done.after.ops
        assert "Softmax" not in found
        assert done.validation is not None
        assert done.validation.status == "passed", done.validation.reason
        assert not done.left_out
