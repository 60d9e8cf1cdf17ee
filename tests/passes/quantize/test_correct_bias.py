"""What bias correction is for: results whose mean error, channel by channel, is nearer to none."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from onnxopt.runtime.evaluate import run_small

from ..support import parse
from .support import checked, quantise

Array = np.ndarray[Any, Any]

CONV = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N,4,10,10] x) => (float[N,8,8,8] y)
{
  r = Relu (x)
  d = Conv <group: int = 4, pads: ints = [1,1,1,1]> (r, w0, b0)
  s = Relu (d)
  y = Conv (s, w1)
}
"""
GEMM = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N,24] x) => (float[N,8] y)
{
  r = Relu (x)
  y = Gemm <transB: int = 1> (r, w)
}
"""
SUM = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N,5,24] x) => (float[N,5,8] y)
{
  r = Relu (x)
  p = MatMul (r, w)
  y = Add (b, p)
}
"""
SUMLESS = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N,5,24] x) => (float[N,5,8] y)
{
  r = Relu (x)
  y = MatMul (r, w)
}
"""


def make(text: str, **shapes: tuple[int, ...]) -> onnx.ModelProto:
    rng = np.random.default_rng(2)
    weights = {n: rng.normal(size=s).astype(np.float32) for n, s in shapes.items()}
    return parse(text, **weights)


MODELS = {
    "conv": make(CONV, w0=(4, 1, 3, 3), b0=(4,), w1=(8, 4, 3, 3)),
    "gemm": make(GEMM, w=(8, 24)),
    "sum": make(SUM, w=(24, 8), b=(8,)),
}


def feeds(model: onnx.ModelProto, seed: int) -> list[dict[str, Array]]:
    rng = np.random.default_rng(seed)
    shape = [d.dim_value or 32 for d in model.graph.input[0].type.tensor_type.shape.dim]
    return [{"x": rng.normal(0.5, 1.0, size=shape).astype(np.float32)} for _ in range(4)]


def mean_errors(model: onnx.ModelProto, other: onnx.ModelProto, axis: int) -> Array:
    total: Array = np.zeros(())
    for given in feeds(model, 9):
        error = run_small(other, given)[0].astype(np.float64) - run_small(model, given)[0]
        total = total + np.moveaxis(error, axis, 0).reshape(error.shape[axis], -1).mean(axis=1)
    return np.abs(total) / 4


def test_what_has_no_place_for_a_bias_is_declined() -> None:
    model = make(SUMLESS, w=(24, 8))
    outcome = quantise(model, feeds(model, 1), "bias_correct=true")
    [reason] = [r for r in outcome.stats.declined["quantize"] if "bias not corrected" in r]
    assert "read more than once, or by nothing that adds a constant" in reason


def test_nothing_changes_unless_asked_for() -> None:
    model = MODELS["conv"]
    outcome = quantise(model, feeds(model, 1))
    assert [len(n.input) for n in checked(outcome).graph.node if n.op_type == "Conv"] == [3, 2]
    assert not any("bias" in r for r in outcome.stats.declined["quantize"])


@pytest.mark.parametrize(("name", "axis"), [("conv", 1), ("gemm", -1), ("sum", -1)])
def test_the_mean_error_of_each_channel_shrinks(name: str, axis: int) -> None:
    model = MODELS[name]
    samples = feeds(model, 1)
    plain = checked(quantise(model, samples, "bits=4"))
    outcome = quantise(model, samples, "bits=4,bias_correct=true")
    fixed = checked(outcome)
    assert not any("bias" in r for r in outcome.stats.declined["quantize"])
    before, after = (mean_errors(model, other, axis) for other in (plain, fixed))
    assert after.mean() < 0.35 * before.mean()


def test_a_convolution_without_bias_gets_one_in_int32() -> None:
    model = MODELS["conv"]
    fixed = checked(quantise(model, feeds(model, 1), "bias_correct=true"))
    last = [n for n in fixed.graph.node if n.op_type == "Conv"][-1]
    [back] = [n for n in fixed.graph.node if last.input[2] in n.output]
    [stored] = [t for t in fixed.graph.initializer if t.name == back.input[0]]
    assert (back.op_type, stored.data_type) == ("DequantizeLinear", onnx.TensorProto.INT32)


BIAS_THAT_VARIES = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N,4,10,10] x, float[8] b) => (float[N,8,8,8] y) { r = Relu (x)  y = Conv (r, w, b) }
"""
OTHER_AXIS = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N,4,6,4] x) => (float[N,4,4,2] y, float[N,4,6,5] z)
{ r = Relu (x)  y = Conv (r, w)  z0 = MatMul (r, v)  z = Add (z0, c) }
"""
SUMMAND_THAT_VARIES = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N,5,24] x) => (float[N,5,8] y) { r = Relu (x)  p = MatMul (r, w)  y = Add (b, p) }
"""
TWO_READERS = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N,5,24] x) => (float[N,5,8] y, float[N,5,8] z)
{ r = Relu (x)  p = MatMul (r, w)  y = Add (b, p)  z = Relu (p) }
"""


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (make(BIAS_THAT_VARIES, w=(8, 4, 3, 3)), "its bias is not constant"),
        (
            make(OTHER_AXIS, w=(4, 4, 3, 3), v=(4, 5), c=(5,)),
            "another operator reads the same value with channels on another axis",
        ),
        (
            make(SUMMAND_THAT_VARIES, w=(24, 8), b=(5, 8)),
            "the constant that is added to its result varies beyond the channels",
        ),
        (make(TWO_READERS, w=(24, 8), b=(8,)), "its result is read more than once"),
    ],
    ids=["bias", "axis", "summand", "readers"],
)
def test_a_reason_is_given(model: onnx.ModelProto, reason: str) -> None:
    samples = [{**given, "b": np.ones(8, np.float32)} for given in feeds(model, 1)]
    named = {info.name for info in model.graph.input}
    used = [{name: given[name] for name in named} for given in samples]
    outcome = quantise(model, used, "bias_correct=true")
    assert any(reason in r for r in outcome.stats.declined["quantize"])
