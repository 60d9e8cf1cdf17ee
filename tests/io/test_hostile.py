"""Bad input gets one clear ModelError, whatever it is; nothing else ever comes out."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from onnxopt import io
from onnxopt.errors import ModelError

from .protos import floats, full_model, small_model, sparse, tensor

_FULL = full_model().SerializeToString()
_SMALL = small_model().SerializeToString()
_PROPERTY = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def refusal(data: bytes, folder: Path) -> str:
    """Load bytes as a model file and return the one-line error."""
    path = folder / "bad.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        io.load(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def loads_or_refuses(data: bytes, path: Path) -> None:
    """Load bytes; any exception but ModelError fails the test."""
    path.write_bytes(data)
    try:
        io.save(io.load(path), path.with_suffix(".out"))
    except ModelError as error:
        if not str(error).isprintable():
            raise AssertionError(f"not one clean line: {error!r}") from error


def test_every_truncation_of_a_small_model_loads_or_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    header = len(_SMALL) - 64 * 32 * 4
    for size in [*range(0, header, 1), *range(header, len(_SMALL), 97)]:
        loads_or_refuses(_SMALL[:size], path)


@_PROPERTY
@given(size=st.integers(0, len(_FULL) - 1))
def test_truncations_of_the_full_model_load_or_are_refused(size: int, tmp_path: Path) -> None:
    loads_or_refuses(_FULL[:size], tmp_path / "cut.onnx")


@_PROPERTY
@given(changes=st.lists(st.tuples(st.integers(0, len(_FULL) - 1), st.integers(0, 255)), max_size=8))
def test_damaged_models_load_or_are_refused(changes: list[tuple[int, int]], tmp_path: Path) -> None:
    data = bytearray(_FULL)
    for place, value in changes:
        data[place] = value
    loads_or_refuses(bytes(data), tmp_path / "damaged.onnx")


@_PROPERTY
@given(data=st.binary(max_size=2000))
def test_garbage_loads_or_is_refused(data: bytes, tmp_path: Path) -> None:
    loads_or_refuses(data, tmp_path / "garbage.onnx")


def _checkpoint(folder: Path) -> bytes:
    with zipfile.ZipFile(folder / "model.pt", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"w": 1}))
    return (folder / "model.pt").read_bytes()


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "PNG"),
        (b"hello, this is text\n" * 9, "text file"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
        (pickle.dumps({"state": [1.0]}), "PyTorch checkpoint"),
        (b"GGUF\x03\x00\x00\x00", "GGUF"),
        (b"PK\x03\x04" + bytes(40), "zip archive"),
        (bytes(100), "not an ONNX"),
        (onnx.ModelProto(ir_version=8).SerializeToString(), "not an ONNX model"),
    ],
    ids=["empty", "png", "text", "html", "lfs", "pickle", "gguf", "zip", "zeros", "no-graph"],
)
def test_other_files_are_recognised(data: bytes, hint: str, tmp_path: Path) -> None:
    assert hint in refusal(data, tmp_path)


def test_a_pytorch_checkpoint_is_recognised(tmp_path: Path) -> None:
    assert "looks like a PyTorch checkpoint" in refusal(_checkpoint(tmp_path), tmp_path)


def test_missing_files_directories_and_pipes_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, cause in (("missing", "no such file"), (".", "directory"), ("pipe", "pipe")):
        with pytest.raises(ModelError, match=cause):
            io.load(tmp_path / name)
    with pytest.raises(ModelError, match="device"):
        io.load("/dev/null")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.onnx"
    path.write_bytes(_SMALL)
    path.chmod(0)
    with pytest.raises(ModelError, match="permission"):
        io.load(path)


Change = Callable[[onnx.ModelProto], object]


def _weight(model: onnx.ModelProto) -> TensorProto:
    return cast(TensorProto, model.graph.initializer[0])


def _set_dims(*dims: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        _weight(model).dims[:] = dims

    return change


def _cycle(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = "y"


def _both(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.append(sparse("w", [2, 4]))


def _outer_output(model: onnx.ModelProto) -> None:
    inner = helper.make_graph([], "b", [], [onnx.ValueInfoProto(name="h")])
    model.graph.node.append(helper.make_node("If", ["x"], ["z"], then_branch=inner))


FAULTS: dict[str, tuple[Change, tuple[str, ...]]] = {
    "negative dims": (_set_dims(-1, 64), ("'w'", "negative")),
    "huge dims": (_set_dims(2**62, 2**62), ("'w'", "bytes but has 8192")),
    "wrong dims": (_set_dims(64, 33), ("'w'", "8448 bytes but has 8192")),
    "stripped weights": (lambda m: _weight(m).ClearField("raw_data"), ("'w'", "stripped")),
    "unknown type": (lambda m: setattr(_weight(m), "data_type", 99), ("'w'", "99")),
    "wrong field": (lambda m: m.graph.initializer.append(_misplaced()), ("'m'", "float_data")),
    "few strings": (lambda m: m.graph.initializer.append(_few_strings()), ("'s'", "3 strings")),
    "cycle": (_cycle, ("cycle", "'mul'", "'act'")),
    "undefined input": (lambda m: m.graph.node[1].input.append("ghost"), ("'act'", "'ghost'")),
    "undefined output": (lambda m: setattr(m.graph.output[0], "name", "ghost"), ("'ghost'",)),
    "output twice": (lambda m: m.graph.node[1].output.append("h"), ("'act'", "'h'", "already")),
    "outer output": (_outer_output, ("'h'", "outer graph")),
    "input twice": (lambda m: m.graph.input.append(m.graph.input[0]), ("input", "'x'")),
    "nameless weight": (lambda m: _weight(m).ClearField("name"), ("no name",)),
    "dense and sparse": (_both, ("'w'", "both")),
    "no operator": (lambda m: m.graph.node[0].ClearField("op_type"), ("'mul'", "op_type")),
    "no opset": (lambda m: m.ClearField("opset_import"), ("operator set",)),
    "other opset": (lambda m: setattr(m.opset_import[0], "domain", "d"), ("operator set",)),
    "two opsets": (lambda m: m.opset_import.add(domain="ai.onnx", version=9), ("20 and 9",)),
    "no IR version": (lambda m: m.ClearField("ir_version"), ("ir_version",)),
    "two attributes": (lambda m: m.graph.node[0].attribute.extend(_twins()), ("'mul'", "two")),
    "bad type": (
        lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 77),
        ("77",),
    ),
}


def _misplaced() -> TensorProto:
    return TensorProto(name="m", data_type=TensorProto.INT32, dims=[1], float_data=[1.0])


def _few_strings() -> TensorProto:
    return TensorProto(name="s", data_type=TensorProto.STRING, dims=[3], string_data=[b"a"])


def _twins() -> list[onnx.AttributeProto]:
    return [helper.make_attribute("a", 1), helper.make_attribute("a", 2)]


@pytest.mark.parametrize("fault", FAULTS)
def test_unsound_models_are_refused_by_name_and_cause(fault: str, tmp_path: Path) -> None:
    change, expected = FAULTS[fault]
    model = small_model()
    change(model)
    message = refusal(model.SerializeToString(), tmp_path)
    assert all(part in message for part in expected), message


@pytest.mark.parametrize("fault", FAULTS)
def test_unsound_messages_are_refused_too(fault: str) -> None:
    change, expected = FAULTS[fault]
    model = small_model()
    change(model)
    with pytest.raises(ModelError) as caught:
        io.from_proto(model)
    assert all(part in str(caught.value) for part in expected)


def _nested(depth: int) -> onnx.ModelProto:
    model = small_model()
    graph = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["n"])], "leaf", [], [onnx.ValueInfoProto(name="n")]
    )
    for level in range(depth):
        node = helper.make_node("If", ["x"], [f"n{level}"], then_branch=graph, else_branch=_leaf())
        graph = helper.make_graph([node], "b", [], [onnx.ValueInfoProto(name=f"n{level}")])
    model.graph.node.extend(graph.node)
    return model


def _leaf() -> onnx.GraphProto:
    node = helper.make_node("Neg", ["x"], ["l"])
    return helper.make_graph([node], "leaf", [], [onnx.ValueInfoProto(name="l")])


def test_nested_graphs_load(tmp_path: Path) -> None:
    model = _nested(20)
    (tmp_path / "in.onnx").write_bytes(model.SerializeToString())
    io.save(io.load(tmp_path / "in.onnx"), tmp_path / "out.onnx")
    assert len(onnx.load(tmp_path / "out.onnx").graph.node) == 3


def _wrap(field: int, payload: bytes) -> bytes:
    from onnxopt.io import wire

    return wire.delimited(field, payload)


def test_endlessly_nested_graphs_are_refused(tmp_path: Path) -> None:
    # Built by hand: protobuf itself refuses to write such a message.
    data = b""
    for _ in range(3000):
        data = _wrap(1, _wrap(5, _wrap(1, b"g") + _wrap(6, data)) + _wrap(4, b"If"))
    assert "nested" in refusal(b"\x08\x08" + _wrap(7, data), tmp_path)


def test_fields_from_the_future_are_refused_not_dropped(tmp_path: Path) -> None:
    node = small_model()
    data = _wrap(31, b"new") + helper.make_node("Neg", ["x"], ["z"]).SerializeToString()
    message = refusal(node.SerializeToString() + _wrap(7, _wrap(1, data)), tmp_path)
    assert "field 31 in a NodeProto" in message


def test_checks_of_a_model_in_memory() -> None:
    model = io.from_proto(full_model())
    io.check_structure(model)
    first, custom = model.graph[0], model.graph[1]
    model.graph.remove(custom)
    model.graph.insert_before(first, custom)
    with pytest.raises(ModelError, match=r"'custom' .* comes before node 'first'"):
        io.check_structure(model)
    first.replace_input_with(0, custom.outputs[0])
    with pytest.raises(ModelError, match=r"cycle: node '(custom|first)'"):
        io.check_structure(model)


def test_checks_of_names_and_opsets_in_memory() -> None:
    model = io.from_proto(small_model())
    model.graph[1].outputs[0].name = "h"
    with pytest.raises(ModelError, match="'h', which is already defined"):
        io.check_structure(model, "m.onnx")
    model = io.from_proto(small_model())
    del model.opset_imports[""]
    with pytest.raises(ModelError, match=r"m\.onnx: .*operator set"):
        io.check_structure(model, "m.onnx")
    model = io.from_proto(small_model())
    model.graph.initializers.pop("w")
    with pytest.raises(ModelError, match=r"'mul' .* reads 'w'"):
        io.check_structure(model)


def test_a_weight_that_changes_on_disk_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(small_model(floats(300, 300)).SerializeToString())
    model = io.load(path)
    path.write_bytes(small_model(floats(300, 300, seed=1)).SerializeToString() + b"\x28\x01")
    weight = model.graph.initializers["w"].const_value
    assert weight is not None
    with pytest.raises(ModelError, match="changed after it was loaded"):
        weight.numpy()
    with pytest.raises(ModelError, match="changed after it was loaded"):
        io.save(model, tmp_path / "out.onnx")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.onnx"]


def test_a_wide_varint_is_refused(tmp_path: Path) -> None:
    assert "64 bits" in refusal(b"\x08" + b"\xff" * 11, tmp_path)


def test_a_tensor_inside_a_node_is_named_by_its_node(tmp_path: Path) -> None:
    model = small_model()
    value = tensor("", np.arange(3.0))
    value.dims[:] = [4]
    model.graph.node.append(helper.make_node("Constant", [], ["c"], "konst", value=value))
    assert "node 'konst' (Constant)" in refusal(model.SerializeToString(), tmp_path)


@pytest.mark.parametrize("part", ["node", "operator", "value"])
def test_names_that_are_not_utf8_are_refused(part: str, tmp_path: Path) -> None:
    text = {"node": b"mul", "operator": b"MatMul", "value": b"h"}[part]
    data = small_model().SerializeToString()
    assert text in data
    assert "not UTF-8" in refusal(data.replace(text, b"\xff" * len(text)), tmp_path)


def test_names_cannot_break_the_line_or_write_to_the_terminal(tmp_path: Path) -> None:
    model = small_model()
    model.graph.node[1].input.append("ghost\n\x1b[31mred" + "x" * 5000)
    message = refusal(model.SerializeToString(), tmp_path)
    assert "ghost\\n\\x1b[31mred" in message
    assert message.isprintable()
    assert len(message) < 1100
