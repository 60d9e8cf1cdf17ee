"""8-bit floats: rounding as the operators of the runtime do, and what they have no use for."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper

from onnxopt.quantization.affine import from_range
from onnxopt.quantization.blocks import Scheme, packed, round_to_nearest
from onnxopt.quantization.gptq import factorised, gptq
from onnxopt.quantization.hmse import SearchedRange
from onnxopt.quantization.types import qtype

FP8 = qtype("fp8")
Array = np.ndarray[Any, Any]


def _by_runtime(values: Array, scale: Array) -> Array:
    """What QuantizeLinear and DequantizeLinear of onnxruntime leave of values."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s"], ["q"], output_dtype=int(FP8.dtype)),
        helper.make_node("DequantizeLinear", ["q", "s"], ["y"]),
    ]
    infos = [helper.make_tensor_value_info(n, 1, s) for n, s in (("x", values.shape), ("s", []))]
    result = helper.make_tensor_value_info("y", 1, values.shape)
    graph = helper.make_graph(nodes, "g", infos, [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": values, "s": scale})
    return np.asarray(found)


@pytest.mark.parametrize("high", [0.02, 1.0, 700.0])
def test_values_are_rounded_as_the_runtime_does(high: float) -> None:
    rng = np.random.default_rng(5)
    values = (rng.normal(size=4000) * high).astype(np.float32)  # a third lies beyond the range
    affine = from_range(-high, high, FP8, symmetric=True)
    mine = affine.restored(affine.quantised(values))
    np.testing.assert_allclose(mine, _by_runtime(values, affine.scale), rtol=1e-6)


def test_there_is_no_zero_point_even_where_one_sign_does_not_occur() -> None:
    affine = from_range(0.0, 6.0, FP8, symmetric=False)
    assert int(affine.zero_point) == 0
    assert affine.bounds[1] == pytest.approx(6.0, rel=1e-6)


def test_small_values_keep_their_relative_precision() -> None:
    """A float is within a sixteenth of what it stands for, however small beside the largest: above 2^-6 of a step."""
    values = np.geomspace(1e-4, 1.0, 2000).astype(np.float32)
    affine = from_range(-1.0, 1.0, FP8, symmetric=True)
    error = np.abs(affine.restored(affine.quantised(values)) - values) / values
    assert error.max() <= 1 / 16 + 1e-6


@pytest.mark.parametrize("block", [None, 16])
def test_weights_of_a_product_are_stored_as_bytes_of_floats(block: int | None) -> None:
    weight = np.random.default_rng(2).normal(size=(50, 7)).astype(np.float32)
    scheme = Scheme(FP8, block)
    stored = round_to_nearest(weight, scheme)
    assert stored.integers.dtype == FP8.dtype.numpy()
    back = packed(stored.integers, FP8.bits).view(FP8.dtype.numpy()).reshape(weight.shape)
    np.testing.assert_array_equal(back, stored.integers)
    assert not np.any(stored.zero_point.astype(np.float32))
    assert np.abs(stored.restored(scheme) - weight).max() <= np.abs(weight).max() / 16


def test_a_searched_range_is_no_worse_than_the_whole() -> None:
    weight = np.random.default_rng(3).standard_t(3, size=(64, 16)).astype(np.float32)
    scheme = Scheme(FP8, None)
    plain, searched = (
        np.square(round_to_nearest(weight, scheme, fit).restored(scheme) - weight).sum(axis=0)
        for fit in (None, SearchedRange())
    )
    assert (searched <= plain * (1 + 1e-6)).all()


def test_gptq_lessens_the_error_of_the_product() -> None:
    rng = np.random.default_rng(4)
    inputs = (rng.normal(size=(400, 32)) @ rng.normal(size=(32, 32))).astype(np.float32)
    weight = rng.normal(size=(32, 24)).astype(np.float32)
    scheme = Scheme(FP8, None)
    plain = round_to_nearest(weight, scheme)
    better = gptq(weight, scheme, factorised(inputs.T.astype(np.float64) @ inputs))

    def error(restored: Array) -> float:
        return float(np.square(inputs @ (restored - weight)).sum())

    assert error(better.restored(scheme)) < 0.8 * error(plain.restored(scheme))
