"""Tensors that stay in files, and the comparison of tensors of every kind by their bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper

from onnxopt import io
from onnxopt.io.paths import DataFile
from onnxopt.io.stored import BytesTensor, ProtoTensor

from .protos import floats, small_model

_VALUES = floats(70, 1100, seed=2)


def mapped(folder: Path, array: np.ndarray[Any, Any] = _VALUES, offset: int = 7) -> io.MappedTensor:
    path = folder / f"{offset}.bin"
    path.write_bytes(bytes(offset) + array.tobytes() + b"tail")
    file = DataFile.of(str(path), path.name)
    dtype = ir.DataType.from_numpy(array.dtype)
    return io.MappedTensor(file, offset, array.nbytes, dtype, array.shape, name="t")


def external(folder: Path) -> ir.ExternalTensor:
    (folder / "external.bin").write_bytes(bytes(3) + _VALUES.tobytes())
    return ir.ExternalTensor(
        "external.bin",
        3,
        _VALUES.nbytes,
        ir.DataType.FLOAT,
        shape=ir.Shape(_VALUES.shape),
        name="t",
        base_dir=folder,
    )


def kinds(folder: Path) -> dict[str, ir.TensorProtocol]:
    """The same values in every kind of tensor."""
    proto = onnx.numpy_helper.from_array(_VALUES, "t")
    spelt = helper.make_tensor("t", TensorProto.FLOAT, _VALUES.shape, _VALUES.reshape(-1).tolist())
    dims = _VALUES.shape
    shape = ir.Shape(dims)
    dtype = ir.DataType.FLOAT
    return {
        "mapped": mapped(folder),
        "bytes": BytesTensor(_VALUES.tobytes(), dtype, dims),
        "proto": ProtoTensor(proto),
        "spelt": ProtoTensor(spelt),
        "array": ir.tensor(_VALUES),
        "transposed": ir.tensor(np.ascontiguousarray(_VALUES.T).T),
        "strided": ir.tensor(np.repeat(_VALUES, 2, axis=1)[:, ::2]),
        "external": external(folder),
        "lazy": ir.LazyTensor(lambda: ir.tensor(_VALUES), dtype, shape),
        "lazy-mapped": ir.LazyTensor(lambda: mapped(folder, offset=11), dtype, shape),
    }


def test_equal_tensors_are_equal_in_every_kind(tmp_path: Path) -> None:
    tensors = kinds(tmp_path)
    assert not tensors["strided"].numpy().flags.c_contiguous
    for a in tensors.values():
        for b in tensors.values():
            assert io.same_bytes(a, b)
    assert len({io.content_digest(tensor) for tensor in tensors.values()}) == 1


@pytest.mark.parametrize("place", [0, 40_000, -1])
def test_one_different_element_is_found_in_every_kind(place: int, tmp_path: Path) -> None:
    other = _VALUES.copy()
    other.reshape(-1)[place] += 1
    changed = ir.tensor(other)
    for tensor in kinds(tmp_path).values():
        assert not io.same_bytes(tensor, changed)
        assert io.content_digest(tensor) != io.content_digest(changed)


def test_bytes_decide_not_values() -> None:
    zero, minus = ir.tensor(np.array([0.0], np.float32)), ir.tensor(np.array([-0.0], np.float32))
    assert not io.same_bytes(zero, minus)
    assert io.content_digest(zero) != io.content_digest(minus)
    nan = np.array([np.nan], np.float32)
    assert io.same_bytes(ir.tensor(nan), ir.tensor(nan.copy()))


@pytest.mark.parametrize(
    "other",
    [np.zeros((3, 2), np.float32), np.zeros(6, np.float32), np.zeros((2, 3), np.int32)],
    ids=["dims", "rank", "type"],
)
def test_equal_bytes_of_other_dims_or_type_differ(other: np.ndarray[Any, Any]) -> None:
    tensor = ir.tensor(np.zeros((2, 3), np.float32))
    assert not io.same_bytes(tensor, ir.tensor(other))
    assert io.content_digest(tensor) != io.content_digest(ir.tensor(other))


def test_strings_compare_with_their_boundaries() -> None:
    a, b = (ir.StringTensor(items, shape=ir.Shape([2])) for items in ([b"ab", b"c"], [b"a", b"bc"]))
    assert not io.same_bytes(a, b)
    assert io.content_digest(a) != io.content_digest(b)
    assert io.same_bytes(a, ir.StringTensor(np.array([b"ab", b"c"]), shape=ir.Shape([2])))


@pytest.mark.parametrize(
    "dtype", ["INT4", "UINT4", "FLOAT4E2M1", "BFLOAT16", "FLOAT8E4M3FN", "BOOL"]
)
def test_narrow_types_compare_in_their_stored_form(dtype: str) -> None:
    type_ = getattr(TensorProto, dtype)
    bits = np.random.default_rng(1).integers(0, 2, 4099).astype(np.float32)
    proto = helper.make_tensor("t", type_, [4099], bits)
    model = small_model()
    model.graph.initializer.append(proto)
    tensor = io.from_proto(model).graph.initializers["t"].const_value
    assert tensor is not None
    array = ir.tensor(tensor.numpy(), dtype=tensor.dtype)
    assert io.same_bytes(tensor, array)
    assert io.content_digest(tensor) == io.content_digest(array)


@pytest.mark.parametrize("size", [0, 1, 1000, 200_000])
def test_mapped_tensors_read_what_is_there(size: int, tmp_path: Path) -> None:
    values = floats(size, seed=1)
    tensor = mapped(tmp_path, values)
    assert np.array_equal(tensor.numpy(), values)
    assert np.array_equal(np.asarray(tensor), values)
    assert tensor.tobytes() == values.tobytes()
    assert (tensor.size, tensor.nbytes, tuple(tensor.shape)) == (size, 4 * size, (size,))
    with (tmp_path / "copy").open("wb") as file:
        tensor.tofile(file)
    assert (tmp_path / "copy").read_bytes() == values.tobytes()


def test_arrays_over_files_cannot_be_written_to(tmp_path: Path) -> None:
    for tensor in (mapped(tmp_path), mapped(tmp_path, floats(3), offset=9)):
        with pytest.raises(ValueError, match="read-only"):
            tensor.numpy()[0] = 1


def test_arrays_outlive_their_tensor_and_file(tmp_path: Path) -> None:
    tensor = mapped(tmp_path)
    array = tensor.numpy()
    (tmp_path / "7.bin").unlink()
    del tensor
    assert np.array_equal(array, _VALUES)


def test_mapped_tensors_follow_the_protocol(tmp_path: Path) -> None:
    tensor = mapped(tmp_path)
    assert isinstance(tensor, ir.TensorProtocol)
    assert np.array_equal(np.from_dlpack(tensor), _VALUES)
    node = ir.node("Constant", [], {"value": tensor})
    assert node.attributes["value"].as_tensor() is tensor
    assert ir.to_proto(tensor).raw_data == _VALUES.tobytes()


def test_weights_are_mapped_and_small_constants_are_not(tmp_path: Path) -> None:
    model = small_model()
    model.graph.initializer.append(onnx.numpy_helper.from_array(floats(3), "b"))
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    initializers = io.load(tmp_path / "m.onnx").graph.initializers
    assert isinstance(initializers["w"].const_value, io.MappedTensor)
    assert isinstance(initializers["b"].const_value, io.BytesTensor)
