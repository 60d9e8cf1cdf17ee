"""Evaluating small models in process, extended element types included."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, parser

from onnxopt.runtime.evaluate import EvaluationError, run_small
from onnxopt.runtime.tensors import pack, unpack


def _unary(
    op: str, source: int, target: int, shape: list[int], **attributes: Any
) -> onnx.ModelProto:
    node = helper.make_node(op, ["x"], ["y"], **attributes)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", source, shape)],
        [helper.make_tensor_value_info("y", target, shape)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


ADD = """<ir_version: 8, opset_import: ["": 17]> g (float[3] x) => (float[3] y, int64[1] s) {
    c = Constant <value = float[3] {1, -2, 1000}> ()
    y = Add(x, c)
    s = Shape(x)
}"""


@pytest.mark.parametrize("serialised", [False, True])
def test_runs_and_keeps_order(serialised: bool) -> None:
    model = parser.parse_model(ADD)
    y, s = run_small(
        model.SerializeToString() if serialised else model,
        {"x": np.array([-1, 2, -3e4], np.float32)},
    )
    np.testing.assert_array_equal(y, np.array([0, 0, -29000], np.float32))
    np.testing.assert_array_equal(s, [3])


@pytest.mark.parametrize(
    ("onnx_type", "dtype"),
    [
        (TensorProto.BFLOAT16, ml_dtypes.bfloat16),
        (TensorProto.FLOAT8E4M3FN, ml_dtypes.float8_e4m3fn),
        (TensorProto.FLOAT8E4M3FNUZ, ml_dtypes.float8_e4m3fnuz),
        (TensorProto.FLOAT8E5M2, ml_dtypes.float8_e5m2),
        (TensorProto.FLOAT8E5M2FNUZ, ml_dtypes.float8_e5m2fnuz),
        (TensorProto.INT4, ml_dtypes.int4),
        (TensorProto.UINT4, ml_dtypes.uint4),
    ],
)
def test_extended_types_in_and_out(onnx_type: int, dtype: type) -> None:
    values = np.array([0, 1, 2, 3, 7], np.float32)
    if dtype is not ml_dtypes.uint4:
        values[1:3] *= -1
    up = _unary("Cast", onnx_type, TensorProto.FLOAT, [5], to=TensorProto.FLOAT)
    (wide,) = run_small(up, {"x": values.astype(dtype)})
    np.testing.assert_array_equal(wide, values)
    down = _unary("Cast", TensorProto.FLOAT, onnx_type, [5], to=onnx_type)
    (narrow,) = run_small(down, {"x": values})
    assert narrow.dtype == dtype
    np.testing.assert_array_equal(narrow.astype(np.float32), values)


@pytest.mark.parametrize(
    "name", ["int4", "uint4", "float4_e2m1fn", "bfloat16", "float8_e5m2", "int2", "uint2"]
)
@pytest.mark.parametrize("count", [0, 1, 2, 5, 8])
def test_pack_round_trip(name: str, count: int) -> None:
    dtype = np.dtype(getattr(ml_dtypes, name))
    values = np.array([0, 1, -2, 1, -1, 0, 1, -2][:count], np.float32)
    if name.startswith("u"):
        values = np.abs(values)
    array = values.astype(dtype)
    back = unpack(pack(array), name, array.shape)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back.astype(np.float32), array.astype(np.float32))


def test_packing_puts_the_first_element_low() -> None:
    assert pack(np.array([1, -1, 3]).astype(ml_dtypes.int4)) == bytes([0xF1, 0x03])


@pytest.mark.parametrize(
    ("model", "part"),
    [
        (_unary("NoSuchOp", 1, 1, [1]), "NoSuchOp"),
        (b"not a model", ""),
        (_unary("Cos", TensorProto.BFLOAT16, TensorProto.BFLOAT16, [1]), "bfloat16"),
    ],
)
def test_failures_are_one_line(model: onnx.ModelProto | bytes, part: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        run_small(model, {"x": np.zeros(1, np.float32)})
    assert part in str(caught.value)
    assert str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_input_fails() -> None:
    with pytest.raises(EvaluationError):
        run_small(parser.parse_model(ADD), {})


def test_sequence_output_is_refused() -> None:
    model = parser.parse_model(
        """<ir_version: 8, opset_import: ["": 17]> g (float[2] x) => (seq(float[2]) y) {
        y = SequenceConstruct(x)
    }"""
    )
    with pytest.raises(EvaluationError, match="list"):
        run_small(model, {"x": np.array([-1, 1], np.float32)})


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EvaluationError):
        run_small(_unary("Reshape", 1, 1, [1]), {"x": np.zeros(1, np.float32)})
    run_small(parser.parse_model(ADD), {"x": np.zeros(3, np.float32)})
    assert capfd.readouterr() == ("", "")
