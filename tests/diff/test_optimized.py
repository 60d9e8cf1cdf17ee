"""Before and after optimisers, this one and others: every node is accounted for."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import models
import onnxopt
from onnxopt.diffing.result import KINDS, ModelDiff

from .support import rewritten

NAMES = ["bert", "gpt", "resnet", "unet", "lstm", "mobilenet_v2"]


def accounted(found: ModelDiff) -> None:
    """Every node of either model stands in one place, and for each that is gone there is a reason."""
    nodes = found.nodes
    for total, side in ((found.before, "before"), (found.after, "after")):
        places = [place for change in nodes.changes for place in getattr(change, side)]
        assert nodes.unchanged + len(places) == total.nodes
        assert len({(p.scope, p.name, p.op) for p in places}) == len(places)
    for change in nodes.changes:
        assert change.kind in KINDS
        if not change.after:
            assert change.details
        if change.kind == "fused":
            assert len(change.before) > len(change.after) > 0
    weights = found.weights.changes
    grown = sum(change.bytes[1] - change.bytes[0] for change in weights)
    assert grown == found.after.weight_bytes - found.before.weight_bytes


def cached(name: str) -> Path:
    pytest.importorskip("torch")
    return models.cached(name, size="tiny", exporter="torchscript")


@pytest.mark.parametrize("name", NAMES)
def test_optimised(name: str, tmp_path: Path) -> None:
    source, out = cached(name), tmp_path / "out.onnx"
    result = onnxopt.optimize(source, out, validate=False)
    found = onnxopt.diff(source, out)
    accounted(found)
    assert found.interface == ()
    assert "added" not in found.nodes.counts()
    assert found.after.nodes == result.after.nodes
    assert found.nodes.unchanged >= found.after.nodes * 0.7


@pytest.mark.parametrize("name", NAMES)
def test_optimised_and_renamed(name: str, tmp_path: Path) -> None:
    source, out = cached(name), tmp_path / "out.onnx"
    onnxopt.optimize(source, out, validate=False)
    found = onnxopt.diff(rewritten(onnx.load(source)), out)
    accounted(found)
    assert found.interface == ()
    assert found.nodes.unchanged >= found.after.nodes * 0.6


def test_backwards(tmp_path: Path) -> None:
    source, out = cached("bert"), tmp_path / "out.onnx"
    onnxopt.optimize(source, out, validate=False)
    accounted(onnxopt.diff(out, source))


def test_float16(tmp_path: Path) -> None:
    source, out = cached("resnet"), tmp_path / "out.onnx"
    onnxopt.convert(source, out, to="float16", validate=False)
    found = onnxopt.diff(source, out)
    accounted(found)
    assert found.nodes.counts()["retyped"] >= 0.7 * found.before.nodes
    changed = [change for change in found.weights.changes if change.kind == "changed"]
    assert changed
    for change in changed:
        assert change.types == ("float32", "float16")
        assert change.figures is not None


@pytest.mark.parametrize("name", ["bert", "resnet", "lstm"])
def test_onnxsim(name: str) -> None:
    tool = pytest.importorskip("onnxsim")
    before = onnx.load(cached(name))
    after, _ = tool.simplify(before)
    assert_of_a_peer(onnxopt.diff(before, after))


@pytest.mark.parametrize("name", ["bert", "resnet", "lstm"])
def test_onnxslim(name: str) -> None:
    tool = pytest.importorskip("onnxslim")
    before = onnx.load(cached(name))
    assert_of_a_peer(onnxopt.diff(before, tool.slim(onnx.load(cached(name)))))


@pytest.mark.parametrize("level", ["ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED"])
@pytest.mark.parametrize("name", ["bert", "resnet", "lstm"])
def test_onnxruntime(name: str, level: str, tmp_path: Path) -> None:
    tool = pytest.importorskip("onnxruntime")
    source, out = cached(name), tmp_path / "out.onnx"
    options = tool.SessionOptions()
    options.graph_optimization_level = getattr(tool.GraphOptimizationLevel, level)
    options.optimized_model_filepath = str(out)
    options.log_severity_level = 3
    tool.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    found = onnxopt.diff(source, out)
    assert_of_a_peer(found)
    if (name, level) == ("bert", "ORT_ENABLE_EXTENDED"):
        gelu = [
            c for c in found.nodes.changes if "com.microsoft.BiasGelu" in (p.op for p in c.after)
        ]
        assert {c.kind for c in gelu} == {"fused"}


def assert_of_a_peer(found: ModelDiff) -> None:
    accounted(found)
    assert found.nodes.unchanged >= found.after.nodes * 0.4
