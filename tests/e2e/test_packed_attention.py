"""Attention and its projections become one operator of onnxruntime, where a target asks for that."""

from __future__ import annotations

from pathlib import Path

import pytest

import models
import onnxopt
from tests.golden.harness import HERE

from .test_fused_counts import samples

TARGET = str(HERE / "cpu-kernels.toml")
PACKED = "com.microsoft.Attention"
APART = "com.microsoft.MultiHeadAttention"
# Those of the models with self-attention whose queries and keys are not rotated; two layers each.
NAMES = ["hf-bert", "hf-distilbert", "hf-vit", "hf-whisper", "hf-yolos"]


@pytest.mark.parametrize("exporter", models.EXPORTERS)
@pytest.mark.parametrize("name", NAMES)
def test_every_attention_is_packed(tmp_path: Path, name: str, exporter: models.Exporter) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    source = models.cached(name, size="tiny", exporter=exporter)
    made = onnxopt.optimize(source, tmp_path / "out.onnx", target=TARGET, feeds=samples(name))
    assert made.after.ops[PACKED] == 2
    assert APART not in made.after.ops
    assert made.after.bytes < made.before.bytes
    assert made.validation is not None
    assert made.validation.status == "passed", made.validation.reason
    assert not made.left_out


def test_where_only_measuring_can_tell_it_is_off() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    source = models.cached("hf-bert", size="tiny", exporter="torchscript")
    plain = onnxopt.optimize(source, target="ort-cpu", validate=False)
    assert (plain.after.ops.get(PACKED, 0), plain.after.ops[APART]) == (0, 2)
    generic = onnxopt.optimize(source, level=3, validate=False)
    assert not {PACKED, APART} & set(generic.after.ops)
    cuda = onnxopt.optimize(source, target="ort-cuda", validate=False)
    assert (cuda.after.ops[PACKED], cuda.after.ops.get(APART, 0)) == (2, 0)
