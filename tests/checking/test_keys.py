"""Each key of a budget, on a build that keeps to it and on one that does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnxopt
from onnxopt.checking.verdict import Verdict

from . import models

CUDA = "CUDAExecutionProvider"


def judged(folder: Path, key: str, limit: Any, text: str = models.BUILD, **how: Any) -> Verdict:
    """The verdict for one key on one build of the classifier."""
    build = models.write(folder / "build.onnx", text)
    against = models.write(folder / "model.onnx", how.pop("against", models.CLASSIFIER))
    check = onnxopt.check(build, {key: limit}, against=against, **how)
    [verdict] = check.verdicts
    assert (verdict.key, verdict.limit) == (key, tuple(limit) if type(limit) is list else limit)
    assert check.passed == (verdict.status == "passed")
    return verdict


def test_max_bytes(tmp_path: Path) -> None:
    size = models.write(tmp_path / "build.onnx", models.BUILD).stat().st_size
    assert judged(tmp_path, "max_bytes", size).status == "passed"
    found = judged(tmp_path, "max_bytes", size - 1)
    assert (found.status, found.value) == ("failed", size)


def test_max_bytes_counts_weights_in_their_own_file(tmp_path: Path) -> None:
    weight = onnx.numpy_helper.from_array(np.ones((4, 1000), np.float32), "w")
    model = onnx.parser.parse_model(models.BUILD.replace("N,3", "N,1000"))
    model.graph.initializer[0].CopyFrom(weight)
    onnxopt.optimize(
        model, tmp_path / "build.onnx", level=0, validate=False, external_data="always"
    )
    files = [tmp_path / "build.onnx", tmp_path / "build.onnx.data"]
    size = sum(file.stat().st_size for file in files)
    [found] = onnxopt.check(files[0], {"max_bytes": size - 1}).verdicts
    assert (found.status, found.value, found.detail) == ("failed", size, "in 2 files")


def test_max_bytes_ratio(tmp_path: Path) -> None:
    assert judged(tmp_path, "max_bytes_ratio", 1.0).status == "passed"
    found = judged(tmp_path, "max_bytes_ratio", 0.1)
    assert found.status == "failed"
    sizes = [(tmp_path / name).stat().st_size for name in ("build.onnx", "model.onnx")]
    assert found.value == sizes[0] / sizes[1]
    assert found.detail == f"{sizes[0]:,} of {sizes[1]:,} bytes"


def test_max_nodes(tmp_path: Path) -> None:
    assert judged(tmp_path, "max_nodes", 1).status == "passed"
    found = judged(tmp_path, "max_nodes", 1, models.OPPOSITE)
    assert (found.status, found.value) == ("failed", 2)


@pytest.mark.parametrize("spelling", ["", "ai.onnx"])
def test_allowed_domains(tmp_path: Path, spelling: str) -> None:
    assert judged(tmp_path, "allowed_domains", [spelling]).status == "passed"
    found = judged(tmp_path, "allowed_domains", [spelling], models.FOREIGN)
    assert (found.status, found.value) == ("failed", ("com.microsoft",))
    assert found.detail == "not allowed: com.microsoft: Gelu"
    assert judged(tmp_path, "allowed_domains", ["com.microsoft"], models.FOREIGN).status == "passed"
    assert judged(tmp_path, "allowed_domains", []).detail == "not allowed: ai.onnx: MatMul"


def test_functions_of_the_model_are_no_foreign_domain(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17, "mine" : 1]>
    agraph (float[N,4] x) => (float[N,4] y) { y = mine.twice (x) }
    <domain: "mine", opset_import: ["" : 17]> twice (a) => (b) { b = Add (a, a) }"""
    found = judged(tmp_path, "allowed_domains", ["ai.onnx"], text)
    assert (found.status, found.value) == ("passed", ("ai.onnx",))


def test_max_opset(tmp_path: Path) -> None:
    assert judged(tmp_path, "max_opset", 17).status == "passed"
    found = judged(tmp_path, "max_opset", 16)
    assert (found.status, found.value) == ("failed", 17)


def test_max_ir_version(tmp_path: Path) -> None:
    assert judged(tmp_path, "max_ir_version", 8).status == "passed"
    found = judged(tmp_path, "max_ir_version", 7)
    assert (found.status, found.value) == ("failed", 8)


def test_required_provider(tmp_path: Path) -> None:
    found = judged(tmp_path, "required_provider", "cpu")
    assert (found.status, found.value) == ("passed", "CPUExecutionProvider")
    found = judged(tmp_path, "required_provider", "cpu", models.UNKNOWN)
    assert (found.status, found.value) == ("failed", None)
    assert "cannot be measured: the build does not run on CPUExecutionProvider" in found.detail


def test_a_provider_that_is_missing_fails_what_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxopt.runtime.providers.available", lambda: ["CPUExecutionProvider"])
    build = models.write(tmp_path / "build.onnx", models.BUILD)
    model = models.write(tmp_path / "model.onnx", models.CLASSIFIER)
    budget = {
        "required_provider": "cuda",
        "min_cosine": 0.5,
        "min_top1_agreement": 0.5,
        "max_latency_ratio": 9.0,
        "max_nodes": 1,
    }
    check = onnxopt.check(build, budget, against=model)
    assert [verdict.key for verdict in check.failed] == [
        "required_provider",
        "min_cosine",
        "min_top1_agreement",
        "max_latency_ratio",
    ]
    for verdict in check.failed:
        assert verdict.value is None
        assert "is not in the installed onnxruntime" in verdict.detail, verdict.key


def test_a_provider_that_there_is_none_of_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(onnxopt.UsageError, match="budget: required_provider: unknown provider"):
        judged(tmp_path, "required_provider", "abacus")


def test_validation(tmp_path: Path) -> None:
    assert judged(tmp_path, "validation", "passed").status == "passed"
    found = judged(tmp_path, "validation", "passed", models.OPPOSITE)
    assert (found.status, found.value) == ("failed", "failed")
    assert "'y'" in found.detail


@pytest.mark.parametrize(("key", "limit"), [("min_cosine", 0.999), ("min_snr_db", 60.0)])
def test_closeness_of_outputs(tmp_path: Path, key: str, limit: float) -> None:
    found = judged(tmp_path, key, limit, providers=["cpu"])
    assert (found.status, found.detail) == ("passed", "output 'y' on CPU")
    found = judged(tmp_path, key, limit, models.OPPOSITE, providers=["cpu"])
    assert found.status == "failed"
    assert isinstance(found.value, float)
    assert found.value == pytest.approx({"min_cosine": -1.0, "min_snr_db": -6.02}[key], abs=0.01)


def test_nan_fails_whatever_the_cosine(tmp_path: Path) -> None:
    found = judged(tmp_path, "min_cosine", -1, models.INVALID_NUMBERS, providers=["cpu"])
    assert (found.status, found.value) == ("failed", None)
    assert "NaN or infinity" in found.detail


def test_another_interface_fails_with_its_reason(tmp_path: Path) -> None:
    found = judged(
        tmp_path,
        "min_snr_db",
        1.0,
        models.BUILD.replace("[N,3] y", "[N,3] z").replace("y =", "z ="),
    )
    assert (found.status, found.value) == ("failed", None)
    assert "the interfaces differ" in found.detail


def test_a_build_that_does_not_run_fails_with_its_reason(tmp_path: Path) -> None:
    text = models.UNKNOWN.replace("float[N,4] y", "float[N,3] y")
    for key in ("validation", "min_cosine", "min_top1_agreement"):
        limit = "passed" if key == "validation" else 0.5
        found = judged(tmp_path, key, limit, text, providers=["cpu"])
        assert found.status == "failed"
        assert "org.nobody" in found.detail, key


def test_min_top1_agreement(tmp_path: Path) -> None:
    found = judged(tmp_path, "min_top1_agreement", 1.0)
    assert (found.status, found.value) == ("passed", 1.0)
    assert "generated samples" in found.detail
    found = judged(tmp_path, "min_top1_agreement", 0.5, models.OPPOSITE)
    assert (found.status, found.value) == ("failed", 0.0)


def test_top1_counts_on_the_samples_given(tmp_path: Path) -> None:
    """One class of four changes: the weights of the first input are turned round."""
    text = models.BUILD.replace("{1,-2,3,", "{3,-2,1,")
    feeds = [{"x": np.eye(4, dtype=np.float32)}]
    found = judged(tmp_path, "min_top1_agreement", 0.75, text, feeds=feeds)
    assert (found.status, found.value, found.detail) == ("passed", 0.75, "output 'y', 1 sample")
    assert judged(tmp_path, "min_top1_agreement", 0.76, text, feeds=feeds).status == "failed"


def test_top1_without_classes_fails_with_its_reason(tmp_path: Path) -> None:
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[4] x) => (float y) { y = ReduceSum <keepdims = 0> (x) }'
    found = judged(tmp_path, "min_top1_agreement", 0.5, text, against=text)
    assert (found.status, found.value) == ("failed", None)
    assert "no float output has two entries along its last axis" in found.detail


def test_the_caller_s_model_is_not_changed() -> None:
    model = onnx.parser.parse_model(models.BUILD)
    before = model.SerializeToString()
    assert onnxopt.check(model, {"max_nodes": 1, "min_cosine": 0.9}, against=model).passed
    assert model.SerializeToString() == before


def test_a_build_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(onnxopt.ModelError, match=r"no\.onnx"):
        onnxopt.check(tmp_path / "no.onnx", {"max_nodes": 1})
