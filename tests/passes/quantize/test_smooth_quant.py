"""What SmoothQuant is for: activations with a few large channels, quantised with one scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from onnxopt.errors import UsageError
from onnxopt.quantization.statistics import Statistics
from onnxopt.quantization.wants import Wants
from onnxopt.runtime.evaluate import run_small

from ..support import optimise, parse, result
from .support import Observer, checked, quantise, snr

Array = np.ndarray[Any, Any]

BLOCK = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N,16,32] x) => (float[N,16,32] q, float[N,16,32] k, float[N,16,32] y)
{
  n = LayerNormalization (x, scale, bias)
  q = MatMul (n, wq)
  k = MatMul (n, wk)
  h = MatMul (n, wv)
  r = Relu (h)
  y = MatMul (r, wo)
}
"""


def with_outliers(rng: np.random.Generator) -> onnx.ModelProto:
    scale = rng.uniform(0.5, 1.5, 32)
    scale[[4, 9, 20]] *= 50.0
    weights = {name: rng.normal(size=(32, 32)) / 6.0 for name in ("wq", "wk", "wv", "wo")}
    weights |= {"scale": scale, "bias": 0.1 * rng.normal(size=32)}
    return parse(BLOCK, **{name: w.astype(np.float32) for name, w in weights.items()})


def feeds(rng: np.random.Generator, count: int) -> list[dict[str, Array]]:
    return [{"x": rng.normal(size=(2, 16, 32)).astype(np.float32)} for _ in range(count)]


def smoothed(model: onnx.ModelProto, samples: list[dict[str, Array]], text: str) -> onnx.ModelProto:
    pipeline = f"{text}, prune-initializers"
    return result(optimise(model, pipeline, observe=Observer(samples)))


def test_without_calibration_data_there_is_a_remedy() -> None:
    model = with_outliers(np.random.default_rng(0))
    with pytest.raises(UsageError, match="smooth-quant needs calibration data: give --calibrate"):
        optimise(model, "smooth-quant")


@pytest.mark.parametrize("alpha", ["much", "1.5", "nan"])
def test_alpha_must_be_one(alpha: str) -> None:
    model = with_outliers(np.random.default_rng(0))
    with pytest.raises(UsageError, match="alpha takes a number from 0 to 1 or 'auto'"):
        smoothed(model, [], f"smooth-quant{{alpha={alpha}}}")


def test_without_samples_nothing_is_scaled() -> None:
    model = with_outliers(np.random.default_rng(0))
    outcome = optimise(model, "smooth-quant", observe=Observer([]))
    assert outcome.stats.fired["smooth-quant"] == 0
    assert "no sample reached what it reads" in outcome.stats.declined["smooth-quant"]


def test_statistics_of_other_channels_are_not_used() -> None:
    def observe(model: ir.Model, wants: Mapping[str, Wants]) -> Statistics:  # noqa: ARG001
        found = Statistics("test", wants)
        for name in wants:
            found.update(name, np.ones((2, 5), np.float32))
        return found

    outcome = optimise(with_outliers(np.random.default_rng(0)), "smooth-quant", observe=observe)
    assert outcome.stats.fired["smooth-quant"] == 0
    assert "the statistics are of other channels" in outcome.stats.declined["smooth-quant"]


def test_auto_leaves_alone_what_needs_nothing() -> None:
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    g (float[N,4] x) => (float[N,4] y) { m = Mul (x, ones)  y = MatMul (m, w) }
    """
    signs = np.array([[1, -1, 1, 1], [1, 1, -1, 1], [1, 1, 1, -1], [-1, 1, 1, 1]], np.float32)
    model = parse(text, ones=np.ones(4, np.float32), w=signs)
    observe = Observer([{"x": signs}])
    outcome = optimise(model, "smooth-quant{alpha=auto}", observe=observe)
    assert "no scaling is expected to help" in outcome.stats.declined["smooth-quant"]


@pytest.mark.parametrize("text", ["smooth-quant", "smooth-quant{alpha=auto}"])
@pytest.mark.parametrize("seed", range(3))
def test_activations_of_one_scale_keep_their_channels(seed: int, text: str) -> None:
    rng = np.random.default_rng(seed)
    model, samples = with_outliers(rng), feeds(rng, 24)
    level = smoothed(model, samples, text)
    held_out = feeds(rng, 1)[0]
    wanted = run_small(model, held_out)
    for want, got in zip(wanted, run_small(level, held_out), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    for index in range(3):
        plain, smooth = (
            snr(wanted[index], run_small(checked(quantise(m, samples)), held_out)[index])
            for m in (model, level)
        )
        assert smooth > plain + 3.0, (index, plain, smooth)


def test_a_second_time_there_is_little_left() -> None:
    rng = np.random.default_rng(4)
    model, samples = with_outliers(rng), feeds(rng, 2)
    once = smoothed(model, samples, "smooth-quant")
    again = optimise(once, "smooth-quant", observe=Observer(samples))
    assert again.stats.fired["smooth-quant"] == 0
