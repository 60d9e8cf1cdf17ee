"""Where other quantisers leave operators in float, or write models that do not load."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from onnxopt.io import load
from onnxopt.runtime.fusion.proving import prove
from onnxopt.runtime.fusion.wanted import wanted_of

from .support import model, perceptron, quantise, snr_db, weights

node = helper.make_node
TYPES = [("u8", False), ("s8", False), ("s8", True)]


def residual() -> onnx.ModelProto:
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c1"], "conv1", pads=[1] * 4),
        node("Relu", ["c1"], ["r1"], "relu1"),
        node("Conv", ["r1", "w2", "b2"], ["c2"], "conv2", pads=[1] * 4),
        node("Add", ["c2", "r1"], ["a"], "add"),
        node("Relu", ["a"], ["r2"], "relu2"),
        node("MaxPool", ["r2"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["p", "w2"], ["c3"], "conv3"),
        node("GlobalAveragePool", ["c3"], ["gp"], "mean"),
        node("Flatten", ["gp"], ["f"], "flat"),
        node("Gemm", ["f", "w3", "b3"], ["y"], "gemm"),
    ]
    constants = {
        "w1": weights(8, 3, 3, 3),
        "b1": weights(8),
        "w2": weights(8, 8, 3, 3, seed=2),
        "b2": weights(8, seed=3),
        "w3": weights(8, 5, seed=4),
        "b3": weights(5, seed=5),
    }
    return model(nodes, constants, {"x": [1, 3, 16, 16]}, {"y": [1, 5]})


@pytest.mark.parametrize(("activations", "symmetric"), TYPES)
def test_a_residual_add_is_fused_also_with_s8(
    tmp_path: Path, activations: str, symmetric: bool
) -> None:
    """Both arms read one tensor; the runtime turns s8 into u8 around all operators but these."""
    proto = residual()
    path = quantise(proto, tmp_path, activations, symmetric=symmetric)
    report = prove(path)
    kernels = {found.name: found.kernel for found in report.findings}
    assert kernels["add"] == "QLinearAdd"
    assert {kernels["conv1"], kernels["conv2"], kernels["conv3"]} == {"QLinearConv"}
    assert report.proven
    assert (report.floats, report.conversions) == ({}, {"QuantizeLinear": 1})
    assert snr_db(proto, path) > 28


def test_s8_and_u8_store_the_same_numbers(tmp_path: Path) -> None:
    """Asymmetric s8 is u8 with another zero point, so nothing is lost by storing it so."""
    proto = residual()
    u8, s8 = (snr_db(proto, quantise(proto, tmp_path, kind)) for kind in ("u8", "s8"))
    assert u8 == pytest.approx(s8, abs=1e-6)


@pytest.mark.parametrize(("activations", "symmetric"), TYPES)
@pytest.mark.parametrize("limit", ["Relu", "Clip"])
def test_a_rectifier_is_absorbed_also_with_symmetric_s8(
    tmp_path: Path, activations: str, symmetric: bool, limit: str
) -> None:
    """Symmetric around 0, half of the stored values would be negative and the rectifier would have to stay."""
    bounds = {"low": np.float32(0), "high": np.float32(1.5)} if limit == "Clip" else {}
    nodes = [
        node("Conv", ["x", "w1"], ["c1"], "conv1"),
        node(limit, ["c1", *bounds], ["r1"], "limit"),
        node("Conv", ["r1", "w2"], ["y"], "conv2"),
    ]
    constants = {"w1": weights(8, 3, 3, 3), "w2": weights(4, 8, 1, 1, seed=2)}
    constants.update((name, np.asarray(bound)) for name, bound in bounds.items())
    proto = model(nodes, constants, {"x": [1, 3, 9, 9]}, {"y": [1, 4, 7, 7]})
    path = quantise(proto, tmp_path, activations, symmetric=symmetric)
    report = prove(path)
    assert [found.kernel for found in report.findings] == ["QLinearConv", "QLinearConv"]
    assert report.floats == {}
    assert snr_db(proto, path) > 30


@pytest.mark.parametrize("opset", [17, 21, 23])
@pytest.mark.parametrize(("activations", "symmetric"), TYPES)
def test_rank_3_products_with_a_bias_load(
    tmp_path: Path, activations: str, symmetric: bool, opset: int
) -> None:
    """With s8 the runtime makes, at opset 21, a QuantizeLinear of two types, and refuses its own graph."""
    proto = perceptron(opset)
    path = quantise(proto, tmp_path, activations, symmetric=symmetric)
    report = prove(path)
    assert not report.failure
    assert not report.unexplained
    kernels = {found.name: found.kernel for found in report.findings}
    assert kernels["mm1"] == "QGemm"
    assert not {"Add", "MatMul", "Gemm"} & set(report.floats)
    assert snr_db(proto, path) > 30


@pytest.mark.parametrize(
    "narrow", [(0.0, 0.0), (1.0, 1.0), (-3e-39, 2e-39), (1e-30, 1e-30), (5.0, 5.0 + 5e-7)]
)
def test_narrow_ranges_have_scales_that_work(tmp_path: Path, narrow: tuple[float, float]) -> None:
    """A tensor that hardly varies, or is only zeros, must neither divide by zero nor become NaN."""
    proto = residual()
    names = ("x", "r1", "c2", "r2", "c3", "gp")
    path = quantise(proto, tmp_path, ranges=dict.fromkeys(names, narrow))
    assert np.isfinite(snr_db(proto, path))
    for tensor in onnx.load(path).graph.initializer:
        if "scale" in tensor.name:
            scale = onnx.numpy_helper.to_array(tensor)
            assert np.isfinite(scale).all()
            assert (scale > 0).all()


def test_nodes_without_names_can_be_told_apart(tmp_path: Path) -> None:
    proto = residual()
    for item in proto.graph.node:
        item.name = ""
    path = quantise(proto, tmp_path)
    wanted = wanted_of(load(path))
    assert sorted(wanted.values()) == sorted(
        ["Conv"] * 3 + ["Add", "MaxPool", "GlobalAveragePool", "Flatten", "Gemm"]
    )
    assert prove(path).proven
