"""Everything a model file says is still there after loading and saving it unchanged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxopt import io

from ..conformance.forms import node_cases
from .protos import floats, full_model, normal, small_model, tensor, unused_fields

_CASES = sorted((Path(onnx.__file__).parent / "backend/test/data").glob("*/*/model.onnx"))
_SHARED = sorted((Path(__file__).parents[3] / "shared/models").glob("*.onnx"))


def saved(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """Write a model, load and save it with the package, and read the result with onnx alone."""
    source, target = folder / "in.onnx", folder / "out.onnx"
    source.write_bytes(model.SerializeToString())
    io.save(io.load(source), target)
    return onnx.load_from_string(target.read_bytes())


def assert_same(a: onnx.ModelProto, b: onnx.ModelProto) -> None:
    first, second = normal(a), normal(b)
    if first.SerializeToString(deterministic=True) != second.SerializeToString(deterministic=True):
        assert str(first) == str(second)
        raise AssertionError("same text, different bytes")


def test_the_full_model_uses_every_field() -> None:
    # Data in external files has its own tests; this field's only other value is the default.
    elsewhere = {"TensorProto.external_data", "TensorProto.data_location"}
    assert unused_fields(full_model()) == elsewhere


@pytest.mark.parametrize("ir_version", [8, 12])
def test_every_field_survives(ir_version: int, tmp_path: Path) -> None:
    model = full_model()
    model.ir_version = ir_version
    assert_same(model, saved(model, tmp_path))


def test_every_field_survives_in_memory() -> None:
    model = full_model()
    before = model.SerializeToString(deterministic=True)
    assert_same(model, io.to_proto(io.from_proto(model)))
    assert model.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("deep", [False, True])
def test_every_field_survives_a_clone(deep: bool) -> None:
    model = full_model()
    clone = io.from_proto(model).clone(deep_copy=deep)
    assert_same(model, io.to_proto(clone))


def test_saving_is_deterministic(tmp_path: Path) -> None:
    (tmp_path / "in.onnx").write_bytes(full_model().SerializeToString())
    for name in ("a.onnx", "b.onnx"):
        io.save(io.load(tmp_path / "in.onnx"), tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


@pytest.mark.parametrize("path", _CASES[::7], ids=lambda p: p.parent.name)
def test_model_files_of_the_onnx_package_survive(path: Path, tmp_path: Path) -> None:
    model = onnx.load(path)
    assert_same(model, saved(model, tmp_path))


def test_operator_models_survive() -> None:
    cases = node_cases()
    assert len(cases) > 1000
    for case in cases.values():
        model = case.model
        assert model is not None
        assert_same(model, io.to_proto(io.from_proto(model)))


@pytest.mark.skipif(not _SHARED, reason="no shared models here")
@pytest.mark.parametrize("path", _SHARED, ids=lambda p: p.name)
def test_real_models_survive(path: Path, tmp_path: Path) -> None:
    model = onnx.load(path)
    assert_same(model, saved(model, tmp_path))


def test_old_attributes_without_types_keep_their_values(tmp_path: Path) -> None:
    model = small_model()
    model.ir_version = 1
    node = model.graph.node.add()
    node.CopyFrom(helper.make_node("Custom", ["y"], ["z"], domain="d", a=[1, 2], b=0.5, c="s"))
    for attribute in node.attribute:
        attribute.ClearField("type")
    after = saved(model, tmp_path).graph.node[-1]
    values = {a.name: helper.get_attribute_value(a) for a in after.attribute}
    assert values == {"a": [1, 2], "b": 0.5, "c": b"s"}


def test_sparse_initializers_are_values_without_visible_elements() -> None:
    model = io.from_proto(full_model())
    value = model.graph.initializers["thin"]
    assert value.const_value is None
    assert list(value.shape or []) == [2, 4]
    assert value.dtype == ir.DataType.FLOAT
    assert [node.op_type for node in value.consumers()] == ["Custom"]
    carried = io.sparse_tensor(value)
    assert carried is not None
    assert carried.values.numpy().tolist() == [1.5, -2.5]


def test_an_unused_sparse_initializer_is_kept(tmp_path: Path) -> None:
    model = io.from_proto(full_model())
    custom = next(node for node in model.graph if node.op_type == "Custom")
    custom.replace_input_with(2, None)
    del model.graph.initializers["thin"]
    io.save(model, tmp_path / "out.onnx")
    kept = onnx.load(tmp_path / "out.onnx").graph.sparse_initializer
    assert [item.values.name for item in kept] == ["thin"]


def test_names_that_carried_parts_mention_are_pinned() -> None:
    assert io.pinned_names(io.from_proto(full_model())) >= {"w", "zero", "nw", "scale", "nowhere"}


def test_an_entry_that_no_longer_fits_is_not_written_back(tmp_path: Path) -> None:
    model = io.from_proto(full_model())
    value = model.graph.inputs[0]
    assert value is model.graph.outputs[1]
    value.shape = ir.Shape([2, 4])
    io.save(model, tmp_path / "out.onnx")
    graph = onnx.load(tmp_path / "out.onnx").graph
    for entry in (graph.input[0], graph.output[1]):
        assert [dim.dim_value for dim in entry.type.tensor_type.shape.dim] == [2, 4]


def test_renamed_values_are_written_under_their_new_name(tmp_path: Path) -> None:
    model = io.from_proto(full_model())
    model.graph.initializers["big"].name = "bigger"
    model.graph.initializers["thin"].name = "thinner"
    io.save(model, tmp_path / "out.onnx")
    graph = onnx.load(tmp_path / "out.onnx").graph
    assert "bigger" in {t.name for t in graph.initializer}
    assert "bigger" in {info.name for info in graph.value_info}
    assert [t.values.name for t in graph.sparse_initializer] == ["thinner"]


def test_a_renamed_weight_leaves_the_callers_message_alone() -> None:
    proto = small_model()
    model = io.from_proto(proto)
    model.graph.initializers["w"].name = "renamed"
    assert proto.graph.initializer[0].name == "w"
    assert io.to_proto(model).graph.initializer[0].name == "renamed"


def test_an_unsorted_graph_comes_out_sorted_and_otherwise_in_order(tmp_path: Path) -> None:
    model = small_model()
    nodes = [*model.graph.node, helper.make_node("Neg", ["x"], ["n"], "neg")]
    del model.graph.node[:]
    model.graph.node.extend(reversed(nodes))
    assert [n.name for n in saved(model, tmp_path).graph.node] == ["neg", "mul", "act"]


def test_a_subgraph_that_reads_a_later_value_makes_its_graph_unsorted(tmp_path: Path) -> None:
    model = small_model()
    inner = helper.make_graph(
        [helper.make_node("Neg", ["h"], ["n"], "neg")], "b", [], [onnx.ValueInfoProto(name="n")]
    )
    model.graph.initializer.append(tensor("flag", np.array(True)))
    model.graph.node.insert(
        0, helper.make_node("If", ["flag"], ["z"], "if", then_branch=inner, else_branch=inner)
    )
    assert [n.name for n in saved(model, tmp_path).graph.node] == ["mul", "if", "act"]


def test_the_default_domain_has_one_spelling(tmp_path: Path) -> None:
    model = small_model()
    model.opset_import[0].domain = "ai.onnx"
    after = saved(model, tmp_path)
    assert [(o.domain, o.version) for o in after.opset_import] == [("", 20)]


@pytest.mark.parametrize(
    "dtype",
    [
        TensorProto.INT4,
        TensorProto.UINT4,
        TensorProto.INT2,
        TensorProto.UINT2,
        TensorProto.FLOAT4E2M1,
        TensorProto.BFLOAT16,
        TensorProto.FLOAT8E4M3FN,
        TensorProto.FLOAT8E5M2,
        TensorProto.BOOL,
    ],
    ids=TensorProto.DataType.Name,
)
@pytest.mark.parametrize("size", [5, 4099])
def test_narrow_types_survive(dtype: int, size: int, tmp_path: Path) -> None:
    model = small_model()
    bits = np.random.default_rng(0).integers(0, 2, size).astype(np.float32)
    model.graph.initializer.append(helper.make_tensor("narrow", dtype, [size], bits))
    assert_same(model, saved(model, tmp_path))
    array = io.load(tmp_path / "out.onnx").graph.initializers["narrow"].const_value
    assert array is not None
    assert np.array_equal(array.numpy().astype(np.float32), bits)


@pytest.mark.parametrize("field", ["float_data", "double_data", "int32_data", "int64_data"])
def test_large_typed_fields_survive(field: str, tmp_path: Path) -> None:
    dtype, values = {
        "float_data": (TensorProto.FLOAT, floats(3000)),
        "double_data": (TensorProto.DOUBLE, floats(3000).astype(np.float64)),
        "int32_data": (TensorProto.FLOAT16, floats(3000).astype(np.float16)),
        "int64_data": (TensorProto.INT64, floats(3000, seed=3).astype(np.int64)),
    }[field]
    model = small_model()
    model.graph.initializer.append(helper.make_tensor("t", dtype, [3000], values.tolist()))
    assert len(getattr(model.graph.initializer[-1], field)) == 3000
    after = saved(model, tmp_path).graph.initializer
    loaded = next(t for t in after if t.name == "t")
    assert np.array_equal(numpy_helper.to_array(loaded), values)
