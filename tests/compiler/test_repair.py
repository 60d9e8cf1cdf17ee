"""A rewrite that changes the numbers is found, left out, and reported; the rest is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import onnx.parser
import onnx_ir as ir
import pytest

import onnxopt
from onnxopt.compiler.verify import Verifier
from onnxopt.pipeline.registry import Registry, registry
from onnxopt.rewrite import Builder, Match, Rule, op, rule
from onnxopt.runtime.validation import Validation

TEXT = """<ir_version: 8, opset_import: ["" : 17]>
g (float[N,4] x) => (float[N,4] y)
{ a = Relu(x) b = Relu(a) c = Abs(b) d = Tanh(c) e = Relu(d) y = Relu(e) }"""


@rule(op.Relu(op.Relu("x")), exact=True)
def test_merge(m: Match, build: Builder) -> ir.Value:
    """Merge two."""
    return build.op("Relu", m.value("x"))


@rule(op.Tanh("x"), exact=True)
def test_wrong(m: Match, build: Builder) -> ir.Value:
    """Replace a function by another that is close to it near zero only."""
    return build.op("Sin", m.value("x"))


@rule(op.Abs("x"), exact=True)
def test_wrong_too(m: Match, build: Builder) -> ir.Value:
    """Drop what is needed."""
    return build.op("Neg", build.op("Neg", m.value("x")))


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> Registry:
    found = registry()
    for one in (test_merge, test_wrong, test_wrong_too):
        renamed = Rule(
            one.name, one.patterns, one.function, one.exact, one.summary, one.doc, "tests"
        )
        monkeypatch.setitem(found.rules, one.name, renamed)
    return found


@pytest.fixture
def model() -> onnx.ModelProto:
    return onnx.parser.parse_model(TEXT)


def ops(result: onnxopt.Result) -> list[str]:
    return [node.op_type for node in result.model.graph]


@pytest.mark.usefixtures("rules")
def test_guilty_rewrite_is_left_out_and_the_rest_kept(
    model: onnx.ModelProto, tmp_path: Path
) -> None:
    out = tmp_path / "out.onnx"
    result = onnxopt.optimize(model, out, passes="test-merge, test-wrong")
    assert ops(result) == ["Relu", "Abs", "Tanh", "Relu"]
    assert len(result.left_out) == 1
    assert result.left_out[0].startswith("test-wrong@")
    assert result.validation is not None
    assert result.validation.status == "passed"
    assert [n.op_type for n in onnx.load(out).graph.node] == ops(result)
    assert [p.name for p in tmp_path.iterdir()] == ["out.onnx"]


@pytest.mark.usefixtures("rules")
def test_bisect_names_the_rewrite(model: onnx.ModelProto) -> None:
    culprit = onnxopt.bisect(model, passes="test-merge, test-wrong")
    assert culprit is not None
    assert culprit.rule == "test-wrong"
    assert (culprit.position, culprit.total) == (3, 3)
    assert onnxopt.bisect(model, passes="test-merge") is None


@pytest.mark.usefixtures("rules")
def test_a_model_that_cannot_be_repaired_writes_nothing(
    model: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxopt.compiler.repair._MAX_REPAIRS", 0)
    out = tmp_path / "out.onnx"
    with pytest.raises(onnxopt.MismatchError, match="does not match and could not be repaired"):
        onnxopt.optimize(model, out, passes="test-wrong")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("rules")
def test_a_repair_that_cannot_be_validated_writes_nothing(
    model: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = Verifier.check

    def impatient(*args: Any, **options: Any) -> Validation:
        found = check(*args, **options)
        if found.passed:
            found.status, found.reason = "not-validated", "no end within 1 s"
        return found

    monkeypatch.setattr(Verifier, "check", impatient)
    with pytest.raises(onnxopt.MismatchError, match=r"did not match.*no end within 1 s") as raised:
        onnxopt.optimize(model, tmp_path / "out.onnx", passes="test-merge, test-wrong")
    assert raised.value.result is not None
    assert raised.value.result.left_out
    assert list(tmp_path.iterdir()) == []


def test_the_source_is_never_changed(model: onnx.ModelProto) -> None:
    before = model.SerializeToString()
    result = onnxopt.optimize(model)
    assert model.SerializeToString() == before
    assert ops(result) == ["Relu", "Abs", "Tanh", "Relu"]
    as_ir = ir.from_proto(model)
    onnxopt.optimize(as_ir, validate=False)
    assert as_ir.graph.num_nodes() == 6


@pytest.mark.usefixtures("rules")
def test_bisect_limit_counts_rewrites(model: onnx.ModelProto) -> None:
    result = onnxopt.optimize(model, passes="test-merge", bisect_limit=1)
    assert ops(result) == ["Relu", "Abs", "Tanh", "Relu", "Relu"]
    assert len(result.sites) == 1


def test_model_that_cannot_run_is_optimised_but_not_called_valid(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17, "somebody" : 1]>
    g (float[N,4] x) => (float[N,4] y) { a = Relu(x) b = Relu(a) y = somebody.Op(b) }"""
    model = onnx.parser.parse_model(text)
    result = onnxopt.optimize(model, tmp_path / "out.onnx")
    assert ops(result) == ["Relu", "Op"]
    assert result.validation is not None
    assert result.validation.status == "not-validated"
    assert "somebody" in result.validation.reason
    with pytest.raises(onnxopt.MismatchError, match="not validated"):
        onnxopt.optimize(model, tmp_path / "two.onnx", require_validation=True)
    assert not (tmp_path / "two.onnx").exists()


def test_options_that_contradict_are_refused(model: onnx.ModelProto) -> None:
    contradictions: tuple[dict[str, Any], ...] = (
        {"level": 7},
        {"target": "toaster"},
        {"dims": {"N": -1}},
        {"validate": False, "require_validation": True},
        {"feeds": []},
        {"providers": ["nosuch"]},
        {"disable": ["nosuch"]},
    )
    for wrong in contradictions:
        with pytest.raises(onnxopt.UsageError):
            onnxopt.optimize(model, **wrong)


def test_samples_of_the_user_are_used(model: onnx.ModelProto) -> None:
    import numpy as np

    feed = {"x": np.full((5, 4), -3, np.float32)}
    result = onnxopt.optimize(model, feeds=[feed])
    assert result.validation is not None
    assert result.validation.status == "passed"
    with pytest.raises(onnxopt.UsageError, match="x"):
        onnxopt.optimize(model, feeds=[{"x": np.zeros((5, 9), np.float32)}])


def test_result_saves_and_reports(model: onnx.ModelProto, tmp_path: Path) -> None:
    import json

    result = onnxopt.optimize(model, dims={"N": 3})
    result.save(tmp_path / "saved.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "saved.onnx"), full_check=True)
    report = json.loads(json.dumps(result.to_json()))
    assert report["before"]["nodes"] == 6
    assert report["after"]["nodes"] == 4
    assert report["validation"]["status"] == "passed"
