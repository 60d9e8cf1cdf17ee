"""``targets``, and ``optimize --target``: output, exit codes, what comes out."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import onnxruntime
import pytest

from onnxopt.targets.load import target_names

from .conftest import Run, refusal
from .samples import write_good

HAS_CUDA = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
SWISH = """<ir_version: 8, opset_import: ["" : 17]> agraph (float[N,4] x) => (float[N,4] y)
{ s = Sigmoid (x) y = Mul (x, s) }"""
HARD_SWISH = """<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N,2,8] x) => (float[N,3,6] y) <float[3,2,3] w = {1,-2,3,-4,5,-6,7,-8,9,1,2,3,4,5,6,7,8,9}>
{ c = Conv (x, w) y = HardSwish (c) }"""
OWN = """
summary = "onnxruntime 1.32 on the CPU"
providers = ["CPUExecutionProvider"]
pipeline = "lower"
[domains]
"com.microsoft" = 1
[kernels."com.microsoft"]
FusedConv = ["float32"]
NoSuchOperator = ["float32"]
[epilogues]
FusedConv = ["HardSwish"]
[keep]
float16 = ["Softmax"]
[reasons]
Softmax = "its sums overflow"
"""


def operators(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


def test_targets_lists_all(run: Run) -> None:
    text = " ".join(run("targets").stdout.split())
    data = json.loads(run("targets", "--json").stdout)
    assert [entry["name"] for entry in data] == target_names()
    for entry in data:
        assert " ".join([entry["name"], *entry["providers"]]) in text
        assert entry["summary"] in text


def test_targets_tells_all_about_one(run: Run) -> None:
    text = " ".join(run("targets", "ort-cpu").stdout.split())
    assert "Providers CPUExecutionProvider Pipeline raise-opset" in text
    assert "lower, remove-dead-nodes, prune-initializers (after the level's own" in text
    assert "merged-projections merge-projections" in text
    assert "must not fuse into SkipLayerNormalization" in text
    assert "Operators of com.microsoft 1" in text
    assert "FusedMatMul float32, float64" in text
    assert "FusedConv Clip, HardSigmoid" in text
    data = json.loads(run("targets", "ort-cpu", "--json").stdout)
    assert data["choices"]["merged-projections"] == [["merge-projections"]]
    assert data["kernels"]["com.microsoft"]["QuickGelu"] == ["float32"]
    assert data["missing"] == []


def test_targets_compares_with_the_installed_runtime(run: Run, folder: Path) -> None:
    (folder / "own.toml").write_text(OWN)
    result = run("targets", "own.toml")
    text = " ".join(result.stdout.split())
    assert "NoSuchOperator float32 not in the installed onnxruntime" in text
    assert "Softmax: its sums overflow" in text
    assert "File own.toml" in text
    data = json.loads(run("targets", "own.toml", "--json").stdout)
    assert data["missing"] == ["com.microsoft.NoSuchOperator"]


@pytest.mark.skipif(HAS_CUDA, reason="the CUDA provider is installed")
def test_a_target_whose_provider_is_missing(run: Run, folder: Path) -> None:
    write_good(folder / "m.onnx", SWISH)
    assert "not compared" in run("targets", "ort-cuda").stdout
    assert json.loads(run("targets", "ort-cuda", "--json").stdout)["missing"] is None
    line = refusal(run("optimize", "m.onnx", "-o", "out.onnx", "--target", "ort-cuda"), 4)
    assert "target ort-cuda cannot be validated here" in line
    assert "--no-validate" in line
    assert not (folder / "out.onnx").exists()
    args = ("optimize", "m.onnx", "-o", "out.onnx", "--target", "ort-cuda", "--no-validate")
    assert run(*args).exit_code == 0
    assert operators(folder / "out.onnx") == ["QuickGelu"]


def test_operators_of_the_target_come_out(run: Run, folder: Path) -> None:
    write_good(folder / "m.onnx", SWISH)
    result = run("optimize", "m.onnx", "-o", "out.onnx", "--target", "ort-cpu")
    assert result.exit_code == 0, result.output
    assert "passed" in result.stdout
    assert operators(folder / "out.onnx") == ["QuickGelu"]
    exact = run("optimize", "m.onnx", "-o", "exact.onnx", "--target", "ort-cpu", "-O1")
    assert exact.exit_code == 0, exact.output
    assert operators(folder / "exact.onnx") == ["Sigmoid", "Mul"]


def test_a_target_of_the_users_own(run: Run, folder: Path) -> None:
    write_good(folder / "m.onnx", HARD_SWISH)
    (folder / "own.toml").write_text(OWN)
    result = run("optimize", "m.onnx", "-o", "out.onnx", "--target", "own.toml")
    assert result.exit_code == 0, result.output
    assert "has no com.microsoft.NoSuchOperator" in " ".join(result.stdout.split())
    # A runtime whose kernel lacks the activation refuses it, and the rewrite is left out.
    assert operators(folder / "out.onnx") in (["FusedConv"], ["Conv", "HardSwish"])


def test_faulty_targets_are_refused(run: Run, folder: Path) -> None:
    write_good(folder / "m.onnx", SWISH)
    for text, wanted in (
        ("summary = 1", "faulty.toml: summary must be a text"),
        (OWN.replace('"lower"', '"lover"'), "faulty.toml: pipeline: no pass or rule is called"),
    ):
        (folder / "faulty.toml").write_text(text)
        line = refusal(run("optimize", "m.onnx", "-o", "o.onnx", "--target", "faulty.toml"), 2)
        assert wanted in line
        assert wanted in refusal(run("targets", "faulty.toml"), 2)
    (folder / "faulty.toml").write_text(OWN.replace("CPUExecution", "Abacus"))
    line = refusal(run("optimize", "m.onnx", "-o", "o.onnx", "--target", "faulty.toml"), 2)
    assert "faulty.toml: providers: unknown provider 'AbacusProvider'" in line


def test_a_target_that_does_not_exist(run: Run, good: Path) -> None:
    for command in (("targets", "nope"), ("optimize", good, "-o", "o.onnx", "--target", "nope")):
        assert "no target is called 'nope'; there are: generic, " in refusal(run(*command), 2)
