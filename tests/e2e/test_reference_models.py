"""The reference models, by both exporters, static and dynamic: optimised, validated, never worse."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import models
import onnxopt

CASES = [
    (name, exporter, dynamic)
    for name in models.own_names()
    for exporter in models.EXPORTERS
    for dynamic in (True, False)
]
# One of the two attentions with each exporter.
OF_TRANSFORMERS = [
    (name, exporter, attention if models.attentions(name) else None)
    for name in models.transformers_names()
    for exporter, attention in (("torchscript", "eager"), ("dynamo", "sdpa"))
]


@pytest.mark.parametrize(("name", "exporter", "dynamic"), CASES)
def test_reference_model(
    name: str, exporter: models.Exporter, dynamic: bool, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    source = models.cached(name, size="tiny", exporter=exporter, dynamic=dynamic)
    assert_optimises(name, source, tmp_path / "out.onnx")


@pytest.mark.parametrize(("name", "exporter", "attention"), OF_TRANSFORMERS)
def test_model_of_transformers(
    name: str, exporter: models.Exporter, attention: models.Attention | None, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    source = models.cached(name, size="tiny", exporter=exporter, attention=attention)
    assert_optimises(name, source, tmp_path / "out.onnx")


def assert_optimises(name: str, source: Path, out: Path) -> None:
    feeds = [models.sample_inputs(name, "tiny", seed) for seed in (0, 1)]
    result = onnxopt.optimize(source, out, feeds=feeds)
    assert result.validation is not None
    assert result.validation.status == "passed", result.validation.reason
    assert not result.left_out
    assert not result.failures
    assert not result.stats.errors
    assert result.after.nodes <= result.before.nodes
    assert result.after.bytes <= result.before.bytes
    before, after = onnx.load(source), onnx.load(out)
    assert list(after.graph.input) == list(before.graph.input)
    assert list(after.graph.output) == list(before.graph.output)
    assert opsets(after) == opsets(before)
    assert {n.domain for n in after.graph.node} <= {n.domain for n in before.graph.node}


@pytest.mark.parametrize("name", ["bert", "gpt"])
def test_optimising_again_changes_nothing(name: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    source = models.cached(name, size="tiny", exporter="torchscript", dynamic=True)
    once, twice = tmp_path / "once.onnx", tmp_path / "twice.onnx"
    onnxopt.optimize(source, once, validate=False)
    again = onnxopt.optimize(once, twice, validate=False)
    assert not again.sites
    assert once.read_bytes() == twice.read_bytes()


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    source = models.cached("swin", size="tiny", exporter="torchscript", dynamic=True)
    for name in ("a", "b"):
        onnxopt.optimize(source, tmp_path / name, validate=False)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def opsets(model: onnx.ModelProto) -> dict[str, int]:
    """Returns the opset versions a model imports, by domain."""
    return {o.domain: o.version for o in model.opset_import}
