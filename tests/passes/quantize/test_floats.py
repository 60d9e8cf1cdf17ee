"""Static quantisation to 8-bit floats: what is stored so, what is not, and that the runtime computes what is meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from onnxopt.errors import UsageError

from ..support import op_types
from .support import checked, kernels, quantise, run, snr
from .test_static import conv, images, network, residual, rng

FP8 = "activations=fp8,weights=fp8"


def _unoptimised(model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> np.ndarray:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(None, feed)[0])


@pytest.mark.parametrize("target", ["generic", "ort-cpu"])
def test_the_runtime_computes_what_is_meant(target: str) -> None:
    """onnxruntime takes the Relu before a QuantizeLinear of floats away if it sees a zero point."""
    model, feeds = residual(21), images()
    result = checked(quantise(model, feeds, FP8, target))
    for feed in feeds:
        found = run(result, feed)[0]
        np.testing.assert_allclose(found, _unoptimised(result, feed), atol=1e-5)
        assert snr(run(model, feed)[0], found) > 22


def test_only_what_is_multiplied_is_quantised() -> None:
    """The residual sum, the rectifiers and the bias stay in float, and read values that were never rounded."""
    result = checked(quantise(residual(21), images(), FP8))
    producers = {name: node for node in result.graph.node for name in node.output}
    kinds = op_types(result.graph)
    assert (kinds["QuantizeLinear"], kinds["DequantizeLinear"]) == (3, 3 + 3)
    add = next(node for node in result.graph.node if node.op_type == "Add")
    assert [producers[name].op_type for name in add.input] == ["Conv", "Relu"]
    types = {i.data_type for i in result.graph.initializer}
    assert types == {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT8E4M3FN}


def test_the_mean_error_of_weights_is_taken_off_a_float_bias() -> None:
    model = network("y = Conv(x, w, b)", 21, w=conv(4, 3), b=rng.normal(size=4).astype(np.float32))
    feeds = [{"x": feed["x"] + 3} for feed in images(16)]
    plain, fixed = (
        checked(quantise(model, feeds, FP8 + more)) for more in ("", ",bias_correct=true")
    )
    assert {i.data_type for i in fixed.graph.initializer} == {1, 17}

    def off(result: onnx.ModelProto) -> float:
        means = [(run(result, f)[0] - run(model, f)[0]).mean(axis=(0, 2, 3)) for f in feeds]
        return float(np.abs(np.mean(means, axis=0)).max())

    assert off(fixed) < 0.5 * off(plain)


def test_no_kernel_of_the_cpu_provider_computes_with_them(tmp_path: Path) -> None:
    found = kernels(checked(quantise(residual(21), images(), FP8)), tmp_path)
    assert not [name for name in found if name.startswith("QLinear")]


@pytest.mark.parametrize(
    ("options", "opset", "message"),
    [
        ("activations=fp8", 21, "give both types as fp8"),
        ("weights=fp8", 21, "give both types as fp8"),
        (f"{FP8},method=entropy", 21, "entropy reckons with steps of equal size"),
        (f"{FP8},bits=7", 21, "cannot use 7 bits of fp8"),
        (FP8, 19, "begins with opset 21: add --opset 21"),
    ],
)
def test_what_is_refused(options: str, opset: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        quantise(residual(opset), images(1), options)
