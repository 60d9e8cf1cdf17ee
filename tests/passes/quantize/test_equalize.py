"""What equalisation is for: weights with one scale a tensor that keep their small channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from onnxopt.runtime.evaluate import run_small

from ..support import initializers, op_types, optimise, parse, result
from .support import checked, quantise, snr

Array = np.ndarray[Any, Any]

NET = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N,3,12,12] x) => (float[N,10] y)
{
  c = Conv <pads: ints = [1,1,1,1]> (x, w0, b0)
  cr = Relu (c)
  d = Conv <group: int = 16, pads: ints = [1,1,1,1]> (cr, w1, b1)
  dr = Relu (d)
  e = Conv (dr, w2, b2)
  er = Relu (e)
  p = MaxPool <kernel_shape: ints = [2,2], strides: ints = [2,2]> (er)
  h = Conv (p, w3, b3)
  hr = Relu (h)
  m = GlobalAveragePool (hr)
  f = Flatten (m)
  y = Gemm <transB: int = 1> (f, w4, b4)
}
"""
SHAPES = [(16, 3, 3, 3), (16, 1, 3, 3), (24, 16, 1, 1), (24, 24, 3, 3), (10, 24)]


def badly_scaled(rng: np.random.Generator) -> onnx.ModelProto:
    """A net whose channels are scaled by anything from 0.1 to 10, and back in the layer after."""
    weights: dict[str, Array] = {}
    for i, shape in enumerate(SHAPES):
        fan_in = np.prod(shape[1:])
        weights[f"w{i}"] = rng.normal(size=shape) * np.sqrt(2.0 / fan_in)
        weights[f"b{i}"] = 0.1 * rng.normal(size=shape[0])
    for i in range(4):
        factor = 10.0 ** rng.uniform(-1.0, 1.0, SHAPES[i][0])
        spatial = (1,) * (len(SHAPES[i]) - 2)
        weights[f"w{i}"] *= factor.reshape(-1, 1, *spatial)
        weights[f"b{i}"] *= factor
        after = weights[f"w{i + 1}"]
        shape = (-1, 1, 1, 1) if i == 0 else (1, -1, *(1,) * (after.ndim - 2))
        after /= factor.reshape(shape)
    return parse(NET, **{name: w.astype(np.float32) for name, w in weights.items()})


def feeds(rng: np.random.Generator, count: int) -> list[dict[str, Array]]:
    return [{"x": rng.normal(size=(4, 3, 12, 12)).astype(np.float32)} for _ in range(count)]


@pytest.mark.parametrize("seed", range(3))
def test_weights_of_one_scale_keep_their_channels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model, samples = badly_scaled(rng), feeds(rng, 4)
    level = result(optimise(model, "equalize, prune-initializers"))
    held_out = feeds(rng, 1)[0]
    wanted = run_small(model, held_out)[0]
    np.testing.assert_allclose(run_small(level, held_out)[0], wanted, rtol=1e-4, atol=1e-4)
    found = [
        snr(wanted, run_small(checked(quantise(m, samples, "granularity=tensor")), held_out)[0])
        for m in (model, level)
    ]
    assert found[1] > found[0] + 10.0, found
    assert found[1] > 20.0, found


def test_every_channel_is_level_afterwards() -> None:
    model = badly_scaled(np.random.default_rng(5))
    known = initializers(result(optimise(model, "equalize, prune-initializers")))
    made = [w for name, w in known.items() if w.ndim > 1]
    rows = {w.shape: np.abs(w).reshape(w.shape[0], -1).max(axis=1) for w in made}
    first, depthwise = rows[SHAPES[0]], rows[SHAPES[1]]
    np.testing.assert_allclose(first, depthwise, rtol=1e-2)
    assert len(made) == len(SHAPES)


def test_a_second_time_there_is_nothing_to_do() -> None:
    model = badly_scaled(np.random.default_rng(6))
    once = optimise(model, "equalize, prune-initializers")
    again = optimise(result(once), "equalize")
    assert again.stats.fired["equalize"] == 0
    assert "the channels are level already" in again.stats.declined["equalize"]


def test_a_gate_that_is_shut_leaves_all_of_a_chain_alone() -> None:
    model = badly_scaled(np.random.default_rng(7))
    outcome = optimise(model, "equalize", limit=0)
    assert initializers(result(outcome)).keys() == initializers(model).keys()


def test_large_weights_are_computed_when_they_are_written() -> None:
    rng = np.random.default_rng(8)
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    g (float[N,256] x) => (float[N,256] y)
    {
      h = Gemm (x, w)
      r = Relu (h)
      y = Gemm (r, v)
    }
    """
    weights = {n: rng.normal(size=(256, 256)).astype(np.float32) for n in "wv"}
    outcome = optimise(parse(text, **weights), "equalize, prune-initializers")
    held = [v.const_value for v in outcome.model.graph.initializers.values()]
    assert [type(t).__name__ for t in held] == ["LazyTensor", "LazyTensor"]
    assert op_types(result(outcome).graph) == {"Gemm": 2, "Relu": 1}


def test_bodies_are_scaled_on_their_own() -> None:
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    g (bool c, float[N,3,4,4] x) => (float[N,3,4,4] y)
    {
      a = Conv (x, w)
      y = If (c) <
        then_branch = t () => (float[N,3,4,4] p) { q = Conv (a, u)  p = Conv (q, v) },
        else_branch = e () => (float[N,3,4,4] r) { r = Identity (a) }
      >
    }
    """
    rng = np.random.default_rng(9)
    weights = {n: rng.normal(size=(3, 3, 1, 1)).astype(np.float32) for n in "wuv"}
    model = parse(text, **weights)
    outcome = optimise(model, "equalize")
    assert outcome.stats.fired["equalize"] == 1
    assert "its result is read more than once" in outcome.stats.declined["equalize"]
    after = result(outcome)
    for chosen in (True, False):
        given = {"c": np.asarray(chosen), "x": rng.normal(size=(2, 3, 4, 4)).astype(np.float32)}
        np.testing.assert_allclose(
            run_small(after, given)[0], run_small(model, given)[0], rtol=1e-4, atol=1e-5
        )
