"""Models raised to a newer opset get the operators that it has, and still compute the same."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import models
import onnxopt

CASES = [
    ("bert", 20, {"LayerNormalization", "Gelu"}, {"Erf", "ReduceMean"}),
    ("gpt", 23, {"LayerNormalization", "Gelu"}, {"Tanh", "ReduceMean"}),
    ("llama", 23, {"RMSNormalization", "RotaryEmbedding"}, {"Neg", "ReduceMean"}),
]


@pytest.mark.parametrize(("name", "opset", "wanted", "unwanted"), CASES)
def test_raised(
    name: str, opset: int, wanted: set[str], unwanted: set[str], tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    source = models.cached(name, size="tiny", exporter="torchscript", dynamic=True)
    out = tmp_path / "out.onnx"
    feeds = [models.sample_inputs(name, "tiny", seed) for seed in (0, 1)]
    result = onnxopt.optimize(source, out, opset=opset, feeds=feeds)
    assert result.validation is not None
    assert result.validation.status == "passed", result.validation.reason
    assert not result.left_out
    model = onnx.load(out)
    assert {o.domain: o.version for o in model.opset_import} == {"": opset}
    found = {node.op_type for node in model.graph.node}
    assert wanted <= found
    assert not unwanted & found
