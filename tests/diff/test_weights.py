"""What is said to have happened to weights, interface and totals."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnxopt
from onnxopt.diffing.result import WeightChange

from .support import parse

Arrays = dict[str, np.ndarray]


def model(weights: Arrays) -> onnx.ModelProto:
    """A product with each weight in turn; ``x`` has as many elements as the last axis of the first."""
    width = next(iter(weights.values())).shape[0]
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", width]) for n in "xy"]
    nodes = []
    last = "x"
    for number, name in enumerate(weights):
        made = "y" if number == len(weights) - 1 else f"h{number}"
        nodes.append(helper.make_node("MatMul", [last, name], [made], f"mul{number}"))
        last = made
    kept = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], kept)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def signed(seed: int, width: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(width, width)).astype(np.float32)


def changes(before: Arrays, after: Arrays) -> list[WeightChange]:
    found = onnxopt.diff(model(before), model(after))
    assert not [c for c in found.nodes.changes if c.kind not in ("retyped", "changed")]
    return list(found.weights.changes)


def test_renamed_weights_are_the_same() -> None:
    a, b = signed(1), signed(2)
    found = onnxopt.diff(model({"a": a, "b": b}), model({"p": a, "q": b}))
    assert not found.different
    assert (found.weights.same, found.weights.renamed) == (2, 2)


def test_by_how_much_a_weight_changed() -> None:
    a, b = signed(1), signed(2)
    moved = b.copy()
    moved[3, 5] += 0.5
    [change] = changes({"a": a, "b": b}, {"a": a, "other": moved})
    assert (change.kind, change.before, change.after) == ("changed", "b", "other")
    assert change.figures is not None
    apart = float(moved[3, 5]) - float(b[3, 5])
    assert change.figures.differing == 1
    assert change.figures.max_abs == pytest.approx(apart)
    assert change.figures.relative == pytest.approx(apart / np.abs(b).max())
    wanted = 10 * math.log10(float((b.astype(np.float64) ** 2).sum()) / apart**2)
    assert change.figures.snr_db == pytest.approx(wanted)


def test_every_weight_changed_and_renamed_leaves_nodes_unchanged() -> None:
    before = {f"a{i}": signed(i) for i in range(4)}
    after = {f"b{i}": signed(10 + i) for i in range(4)}
    found = onnxopt.diff(model(before), model(after))
    assert found.nodes.unchanged == 4
    assert [(c.kind, c.before, c.after) for c in found.weights.changes] == [
        ("changed", f"a{i}", f"b{i}") for i in range(4)
    ]


def test_equal_weights_stored_once() -> None:
    a = signed(1)
    before = model({"a": a, "b": a})
    after = model({"a": a, "b": a})
    after.graph.node[1].input[1] = "a"
    del after.graph.initializer[1]
    found = onnxopt.diff(before, after)
    assert not found.nodes.changes
    [change] = found.weights.changes
    assert (change.kind, change.before, change.after) == ("merged", "b", "a")
    assert change.bytes == (a.nbytes, 0)
    [back] = onnxopt.diff(after, before).weights.changes
    assert (back.kind, back.bytes) == ("copied", (0, a.nbytes))


def test_large_weights_that_differ_in_one_byte_only(tmp_path: Path) -> None:
    a = signed(1, 600)
    b = a.copy()
    b[599, 598] = np.nextafter(b[599, 598], np.float32(9))
    for name, array in (("a", a), ("b", b), ("c", a)):
        onnx.save(
            model({"w": array}), tmp_path / name, save_as_external_data=True, location=f"{name}.bin"
        )
    assert not onnxopt.diff(tmp_path / "a", tmp_path / "c").different
    [change] = onnxopt.diff(tmp_path / "a", tmp_path / "b").weights.changes
    assert change.figures is not None
    assert change.figures.differing == 1
    assert 0 < change.figures.max_abs < 1e-6


def test_half_precision_weights_are_compared_with_their_origin() -> None:
    a = signed(1)
    after = model({"w": a})
    after.graph.initializer[0].CopyFrom(numpy_helper.from_array(a.astype(np.float16), "w"))
    for value in (*after.graph.input, *after.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    [change] = onnxopt.diff(model({"w": a}), after).weights.changes
    assert (change.kind, change.types) == ("changed", ("float32", "float16"))
    assert change.figures is not None
    assert change.figures.max_abs == np.abs(a - a.astype(np.float16).astype(np.float32)).max()


def test_infinities_and_nan_are_told() -> None:
    a = signed(1)
    b = a.copy()
    a[0, 0] = b[0, 0] = np.nan
    a[0, 1] = b[0, 1] = np.inf
    b[1, 1] = np.nan
    [change] = changes({"w": a}, {"w": b})
    assert change.figures is not None
    assert (change.figures.differing, change.figures.max_abs) == (1, math.inf)


def test_interface() -> None:
    a = parse("g (float[N,4] x, float[4] old) => (float[N,4] y) { s = Mul (x, old) y = Sin (s) }")
    b = parse(
        "g (float[M,4] x, float[4] new, int64 n) => (float[N,4] y, float[N,4] s) { s = Mul (x, new) y = Sin (s) }"
    )
    b.opset_import[0].version = 18
    b.ir_version = 9
    b.metadata_props.add(key="task", value="none")
    found = onnxopt.diff(a, b)
    assert not found.nodes.changes
    assert [(c.what, c.kind, c.name, c.before, c.after) for c in found.interface] == [
        ("input", "reshaped", "x", "[N, 4]", "[M, 4]"),
        ("input", "renamed", "old", "old", "new"),
        ("input", "added", "n", "", "int64 []"),
        ("output", "added", "s", "", "float32 [N, 4]"),
        ("opset", "changed", "ai.onnx", "17", "18"),
        ("model", "changed", "IR version", "8", "9"),
        ("metadata", "added", "task", "", "none"),
    ]


def test_inputs_in_another_order_are_known_by_name() -> None:
    a = parse("g (float[4] x, float[4] z) => (float[4] y) { y = Sub (x, z) }")
    b = parse("g (float[4] z, float[4] x) => (float[4] y) { y = Sub (x, z) }")
    found = onnxopt.diff(a, b)
    assert not found.nodes.changes
    assert [(c.what, c.kind, c.before, c.after) for c in found.interface] == [
        ("input", "reordered", "x, z", "z, x")
    ]


def test_totals(tmp_path: Path) -> None:
    a, b = model({"a": signed(1), "b": signed(2)}), model({"a": signed(1)})
    for name, proto in (("a", a), ("b", b)):
        onnx.save(proto, tmp_path / name)
    found = onnxopt.diff(tmp_path / "a", tmp_path / "b", dims={"N": 3})
    assert (found.before.nodes, found.after.nodes) == (2, 1)
    assert (found.before.weight_bytes, found.after.weight_bytes) == (2 * 6400, 6400)
    assert (found.before.macs, found.after.macs) == (2 * 3 * 1600, 3 * 1600)
    assert found.before.file_bytes == (tmp_path / "a").stat().st_size
    assert found.before.ops == {"MatMul": 2}
