"""The record of a static quantisation: names of before and after, and nothing where nothing was quantised."""

from __future__ import annotations

import numpy as np

from onnxopt.quantization.record import Record

from ..support import parse
from .support import checked, quantise

rng = np.random.default_rng(8)
TEXT = """<ir_version: 8, opset_import: ["" : 17]>
g (float[1,3,8,8] x) => (float[1,4,8,8] y) {
    [first] a = Conv<pads=[1,1,1,1]>(x, w1, b1)
    r = Relu(a)
    y = Conv(r, w2)
}"""


def record_of(options: str = "") -> tuple[Record | None, set[str]]:
    weights = {
        "w1": rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "w2": rng.normal(size=(4, 4, 1, 1)).astype(np.float32),
        "b1": rng.normal(size=4).astype(np.float32),
    }
    feeds = [{"x": rng.normal(size=(1, 3, 8, 8)).astype(np.float32)}]
    outcome = quantise(parse(TEXT, **weights), feeds, options)
    result = checked(outcome)
    made = {name for node in result.graph.node for name in node.output}
    return outcome.details.get("quantize"), made


def test_there_is_no_record_where_nothing_is_quantised() -> None:
    assert record_of('exclude="Conv"')[0] is None


def test_every_tensor_is_noted_with_the_names_of_before() -> None:
    record, made = record_of()
    assert record is not None
    kinds = {kept.name: kept.kind for kept in record.tensors}
    assert kinds == {
        "x": "activation",
        "r": "activation",
        "y": "activation",
        "w1": "weight",
        "w2": "weight",
        "b1": "bias",
    }
    assert {kept.back for kept in record.tensors} <= made
    nodes = {kept.name: (kept.node, kept.op_type) for kept in record.tensors}
    assert nodes["x"] == ("", "")
    assert nodes["r"] == ("r", "Relu")
    assert nodes["w1"] == ("first", "Conv")
    assert nodes["w2"] == ("y", "Conv")  # without a name, its result's


def test_the_output_is_read_back_under_its_own_name() -> None:
    record, _ = record_of()
    assert record is not None
    assert next(kept.back for kept in record.tensors if kept.name == "y") == "y"


def test_layers_name_what_they_read_and_make() -> None:
    record, _ = record_of()
    assert record is not None
    found = [(x.name, x.op_type, x.data, x.weight, x.result) for x in record.layers]
    assert found == [("first", "Conv", "x", "w1", "r"), ("y", "Conv", "r", "w2", "y")]


def test_what_was_seen_and_how_it_is_stored_are_there() -> None:
    record, _ = record_of()
    assert record is not None
    kept = next(kept for kept in record.tensors if kept.name == "r")
    assert kept.seen is not None
    assert float(kept.affine.bounds[0]) == 0.0
    assert float(kept.affine.bounds[1]) <= kept.seen.high * 1.0001
    weight = next(kept for kept in record.tensors if kept.name == "w1")
    assert weight.tensor is not None
    assert weight.affine.scale.shape == (4,)
