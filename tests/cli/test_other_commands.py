"""``compare``, ``inspect``, ``passes`` and ``bisect``: output and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from onnxopt.pipeline.registry import registry

from . import faulty
from .conftest import Run, refusal
from .samples import GOOD, signed, write_good


def test_compare_equal_models(run: Run, folder: Path, good: Path) -> None:
    write_good(folder / "same.onnx")
    result = run("compare", good, "same.onnx")
    assert result.exit_code == 0, result.output
    assert "Comparison passed" in " ".join(result.stdout.split())
    data = json.loads(run("compare", good, "same.onnx", "--json").stdout)
    assert (data["a"], data["b"], data["status"]) == (str(good), "same.onnx", "passed")


def test_compare_different_models(run: Run, folder: Path, good: Path) -> None:
    write_good(folder / "other.onnx", GOOD.replace("Tanh", "Sin"))
    np.savez(folder / "in.npz", x=3 + signed(5, 4))
    result = run("compare", good, "other.onnx", "--inputs", "in.npz", "--provider", "cpu")
    assert result.exit_code == 1, result.output
    assert "failed" in result.stdout
    assert "differs" in result.stdout
    args = ("--rtol", "0", "--atol", "10", "--timeout", "60", "--inputs", "in.npz")
    assert run("compare", good, "other.onnx", *args).exit_code == 0


def test_compare_models_with_other_interfaces(run: Run, folder: Path, good: Path) -> None:
    write_good(folder / "other.onnx", GOOD.replace("x)", "z)").replace("(x,", "(z,"))
    result = run("compare", good, "other.onnx")
    assert result.exit_code == 1
    assert "interfaces differ" in " ".join(result.stdout.split())


def test_inspect(run: Run, folder: Path) -> None:
    text = """<ir_version: 8, producer_name: "maker", opset_import: ["" : 17]>
    agraph (float[N,4] x) => (float[N,3] y)
    <float[4,3] w = {1,-2,3,-4,5,-6,7,-8,9,-10,11,-12}> { y = MatMul (x, w) }"""
    write_good(folder / "m.onnx", text)
    words = " ".join(run("inspect", "m.onnx").stdout.split())
    for expected in ("maker", "ai.onnx 17", "parameters 12", "48 B", "float32 [N, 4]", "MatMul 1"):
        assert expected in words
    data = json.loads(run("inspect", "m.onnx", "--json").stdout)
    assert (data["model"], data["parameters"], data["weight_bytes"]) == ("m.onnx", 12, 48)
    assert data["cost"]["macs"] == 12
    data = json.loads(run("inspect", "m.onnx", "--json", "--dim", "N=5").stdout)
    assert data["cost"]["macs"] == 60


def test_passes_lists_everything(run: Run) -> None:
    known = registry()
    names = {*known.passes, *known.groups, *known.rules, *known.pipelines}
    data = json.loads(run("passes", "--json").stdout)
    assert {entry["name"] for entry in data} == names
    text = run("passes").stdout
    assert [name for name in sorted(names) if name not in text] == []


def test_every_pass_and_rule_explains_itself(run: Run) -> None:
    for entry in json.loads(run("passes", "--json").stdout):
        assert entry["summary"], entry["name"]
        if entry["kind"] in ("pass", "rule"):
            assert entry["doc"], entry["name"]
            assert isinstance(entry["exact"], bool), entry["name"]
        if entry["kind"] == "rule":
            assert entry["example"], entry["name"]


def test_passes_tells_all_about_one(run: Run) -> None:
    text = " ".join(run("passes", "set-dim").stdout.split())
    assert "dim str" in text
    assert "size int 0 Its size." in text
    rule = run("passes", "fuse-conv-batch-norm").stdout
    assert "rule of fuse, changes rounding" in rule
    assert "BatchNormalization(Conv(x, w, b), scale, beta, mean, var) -> Conv(x, w', b')" in rule
    group = run("passes", "fuse").stdout
    assert "fuse-conv-batch-norm" in group
    data = json.loads(run("passes", "O1", "--json").stdout)
    assert (data["kind"], data["example"]) == ("pipeline", registry().pipelines["O1"])


def test_passes_knows_near_misses(run: Run) -> None:
    assert "did you mean 'simplify'?" in refusal(run("passes", "simplfy"), 2)


def test_bisect_without_a_culprit(run: Run, good: Path) -> None:
    result = run("bisect", good)
    assert result.exit_code == 0
    assert "no rewrite changes the result" in " ".join(result.stdout.split())
    assert json.loads(run("bisect", good, "--json").stdout)["culprit"] is None


def test_bisect_names_the_culprit(run: Run, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty.install(monkeypatch)
    args = ("bisect", good, "--passes", "simplify, wrong-tanh", "--provider", "cpu")
    result = run(*args)
    assert result.exit_code == 1, result.output
    words = " ".join(result.stdout.split())
    assert "wrong-tanh at y changes the result" in words
    found = json.loads(run(*args, "--json").stdout)["culprit"]
    assert found["rule"] == "wrong-tanh"
    assert f"--bisect-limit {found['position'] - 1}" in words
    assert found["validation"]["status"] == "failed"
    limited = json.loads(
        run("bisect", good, "--passes", "simplify", "--json", "--disable", "remove-identity").stdout
    )
    assert limited["culprit"] is None


def test_bisect_of_what_cannot_be_bisected(
    run: Run, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty.install(monkeypatch)
    line = refusal(run("bisect", good, "--passes", "behind-the-gate"), 1)
    assert "outside the rewrites" in line
