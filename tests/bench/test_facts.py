"""Nodes are counted wherever they stand, and outputs that differ are not called the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from bench_lib.blocks import model_of
from bench_lib.cases import Case, from_argument, parse
from bench_lib.facts import facts
from bench_lib.parity import compare, make_reference, sample_dims

import models

TEXT = """
<ir_version: 8, opset_import: ["": 17, "com.microsoft": 1, "local": 1]>
agraph (float[4] x, bool c) => (float[4] y) {
    half = Constant <value_float: float = 0.5> ()
    a = com.microsoft.Gelu (x)
    b = local.twice (a)
    y = If (c) <
        then_branch = one () => (float[4] t) { u = Mul (b, half)  t = Neg (u) },
        else_branch = two () => (float[4] e) { e = Identity (b) }
    >
}
<domain: "local", opset_import: ["": 17]>
twice (v) => (w) { w = Add (v, v) }
"""


def test_counts_subgraphs_and_functions_but_no_constants(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(TEXT), path)
    found = facts(path)
    assert found["ops"] == {
        "com.microsoft::Gelu": 1,
        "local::twice": 1,
        "If": 1,
        "Mul": 1,
        "Neg": 1,
        "Identity": 1,
        "Add": 1,
    }
    assert (found["nodes"], found["contrib"]) == (7, 2)
    assert found["bytes"] == path.stat().st_size


def test_external_data_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(model_of(72), path, save_as_external_data=True, location="w", size_threshold=0)
    assert facts(path)["bytes"] == path.stat().st_size + (tmp_path / "w").stat().st_size


def test_a_changed_weight_is_noticed(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    case = Case("resnet", "tiny", "torchscript")
    source = models.cached("resnet")
    make_reference(case, source, tmp_path / "reference.npz")
    same = compare(tmp_path / "reference.npz", source)
    assert same["ok"], same
    model = onnx.load(source)
    (head,) = [t for t in model.graph.initializer if t.name == "head.weight"]
    weight = onnx.numpy_helper.to_array(head).copy()
    weight[0] *= np.float32(1.05)
    head.CopyFrom(onnx.numpy_helper.from_array(weight, head.name))
    onnx.save(model, tmp_path / "changed.onnx")
    changed = compare(tmp_path / "reference.npz", tmp_path / "changed.onnx")
    assert not changed["ok"]


def test_samples_vary_the_free_dims() -> None:
    first, second = sample_dims(Case("gpt", "tiny", "dynamo"))
    assert first["past"] != second["past"]
    assert first["batch"] != second["batch"]
    fixed, also = sample_dims(Case("lstm", "tiny", "dynamo"))
    assert fixed["sequence"] == also["sequence"]


def test_cases_are_parsed() -> None:
    assert parse("bert,gpt:dynamo:raw", "small") == [
        Case("bert", "small", "torchscript"),
        Case("bert", "small", "dynamo"),
        Case("gpt", "small", "dynamo", raw=True),
    ]
    assert parse("hf-bert:dynamo:eager,hf-gpt2:torchscript:raw:sdpa", "tiny") == [
        Case("hf-bert", "tiny", "dynamo", attention="eager"),
        Case("hf-gpt2", "tiny", "torchscript", raw=True, attention="sdpa"),
    ]
    with pytest.raises(ValueError, match="no reference model 'vgg'"):
        parse("vgg", "tiny")
    with pytest.raises(ValueError, match="is not bert"):
        parse("bert:jit", "tiny")
    with pytest.raises(ValueError, match="is not bert\\[:torchscript"):
        parse("bert:dynamo:eager", "tiny")


def test_cases_reach_a_child_whole() -> None:
    for case in parse("bert,gpt:dynamo:raw,hf-bert:dynamo:raw:eager", "small"):
        assert from_argument(case.argument()) == case
    assert Case("hf-vit", "full", "dynamo", raw=True, attention="sdpa").label == (
        "hf-vit dynamo raw sdpa"
    )


def test_blocks_grow_to_the_size_asked_for() -> None:
    model = model_of(1000)
    onnx.checker.check_model(model, full_check=True)
    count = sum(node.op_type != "Constant" for node in model.graph.node)
    assert 1000 <= count < 1040
