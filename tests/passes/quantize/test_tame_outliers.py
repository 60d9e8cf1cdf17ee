"""Taming outliers: what is refused, that nothing but rounding changes, what integers gain by it, with data and without."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from onnxopt.errors import UnobservedError, UsageError
from onnxopt.io import save
from onnxopt.quantization.statistics import Statistics
from onnxopt.quantization.wants import Wants
from onnxopt.runtime.evaluate import run_small
from onnxopt.runtime.fusion.proving import prove

from ..support import initializers, op_types, optimise, parse, result
from .support import Observer, snr

Array = np.ndarray[Any, Any]
RULE = "tame-outliers"
TIDY = "remove-dead-nodes, prune-initializers"

BLOCK = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N,16,64] x) => (float[N,16,64] y)
<float root = {1.4142135}, float one = {1.0}, float half = {0.5}>
{
  n = LayerNormalization (x, scale, bias)
  h = MatMul (n, w)
  a = Add (h, b)
  d = Div (a, root)
  e = Erf (d)
  f = Add (e, one)
  m = Mul (a, f)
  g = Mul (m, half)
  o = MatMul (g, v)
  y = Add (o, n)
}
"""


def block(seed: int = 0, *, outliers: bool = True) -> onnx.ModelProto:
    rng = np.random.default_rng(seed)
    scale, b = rng.uniform(0.5, 1.5, 64), 0.3 * rng.normal(size=128)
    if outliers:
        scale[[4, 40]] *= 30.0
        b[[3, 77]] += 40.0
    w = rng.normal(size=(64, 128)) / 8.0
    w[[4, 40]] /= 10.0
    weights = {"scale": scale, "bias": 0.1 * rng.normal(size=64), "w": w, "b": b}
    weights["v"] = rng.normal(size=(128, 64)) / 8.0
    return parse(BLOCK, **{name: array.astype(np.float32) for name, array in weights.items()})


def feeds(count: int, seed: int = 1) -> list[dict[str, Array]]:
    rng = np.random.default_rng(seed)
    return [{"x": rng.normal(size=(2, 16, 64)).astype(np.float32)} for _ in range(count)]


def tamed(model: onnx.ModelProto, options: str = "", samples: int = 4) -> onnx.ModelProto:
    observe = Observer(feeds(samples)) if samples else None
    return result(optimise(model, f"{RULE}{{{options}}}, {TIDY}", observe=observe))


def dynamic(model: onnx.ModelProto) -> onnx.ModelProto:
    return result(optimise(model, f"quantize-dynamic, {TIDY}"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("threshold=0", "threshold is a positive number"),
        ("threshold=4", "least no smaller one, not 4 and 3"),
        ("least=nan", "threshold is a positive number"),
        ("least=much", "takes a number"),
        ("exclude=zz", "called 'zz'"),
    ],
)
def test_options_that_make_no_sense(options: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tamed(block(), options)


@pytest.mark.parametrize("samples", [0, 4])
def test_without_outliers_nothing_is_added(samples: int) -> None:
    model = block(outliers=False)
    observe = Observer(feeds(samples)) if samples else None
    stats = optimise(model, RULE, observe=observe).stats
    assert not stats.fired[RULE]
    assert dict(stats.declined[RULE]) == {"no channel stands out": 2}


def test_statistics_of_other_channels_are_not_used() -> None:
    def observe(model: ir.Model, wants: Mapping[str, Wants]) -> Statistics:  # noqa: ARG001
        found = Statistics("test", wants)
        for name in wants:
            found.update(name, np.ones((2, 5), np.float32))
        return found

    stats = optimise(block(), RULE, observe=observe).stats
    assert dict(stats.declined[RULE]) == {"the statistics are of other channels": 2}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("y = MatMul(x, w)", "what makes what it reads does not tell how large its channels get"),
        (
            "n = Softmax(x) y = MatMul(n, w)",
            "Softmax before it does not tell how large its channels get",
        ),
        (
            "n = LayerNormalization(x, s) m = LayerNormalization(n, s) p = Mul(n, m) y = MatMul(p, w)",
            "what it reads is made of two values",
        ),
        (
            "n = LayerNormalization(x, s) p = Mul(n, t) y = MatMul(p, w)",
            "what it reads has a constant that varies beyond the channels",
        ),
    ],
)
def test_what_cannot_be_estimated(body: str, reason: str) -> None:
    text = (
        f'<ir_version: 8, opset_import: ["" : 17]> g (float[3,8] x) => (float[3,4] y) {{ {body} }}'
    )
    ones = {"w": (8, 4), "s": (8,), "t": (3, 8)}
    arrays = {
        name: np.ones(shape, np.float32) for name, shape in ones.items() if f" {name})" in body
    }
    stats = optimise(parse(text, **arrays), RULE).stats
    assert dict(stats.declined[RULE]) == {f"{reason}; calibration data would": 1}


def test_statistics_that_lack_values_are_done_without() -> None:
    def observe(model: ir.Model, wants: Mapping[str, Wants]) -> Statistics:  # noqa: ARG001
        raise UnobservedError("S.json: lacks 'n'")

    outcome = optimise(block(), RULE, observe=observe)
    assert outcome.stats.fired[RULE] == 2
    assert any("estimated: S.json: lacks 'n'" in note for note in outcome.stats.notes)


def test_all_values_are_asked_for_whatever_is_chosen() -> None:
    observe = Observer(feeds(1))
    optimise(block(), f'{RULE}{{exclude="h"}}', observe=observe)
    assert [set(asked) for asked in observe.asked] == [{"n", "g"}]


@pytest.mark.parametrize("samples", [0, 4])
@pytest.mark.parametrize("seed", range(3))
def test_only_rounding_changes(seed: int, samples: int) -> None:
    model = block(seed)
    made = tamed(model, samples=samples)
    assert op_types(made.graph)["Mul"] == op_types(model.graph)["Mul"] + 2
    for feed in feeds(2, seed + 10):
        (want,), (got,) = run_small(model, feed), run_small(made, feed)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6 * np.abs(want).max())


@pytest.mark.parametrize(("samples", "gain"), [(0, 6.0), (4, 8.0)])
@pytest.mark.parametrize("seed", range(3))
def test_integers_gain(seed: int, samples: int, gain: float) -> None:
    model = block(seed)
    held_out = feeds(1, seed + 20)[0]
    (want,) = run_small(model, held_out)
    plain, tame = (
        snr(want, run_small(dynamic(m), held_out)[0])
        for m in (model, tamed(model, samples=samples))
    )
    assert tame > plain + gain, (plain, tame)


def test_a_normalisation_takes_the_division() -> None:
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    g (float[N,16,64] x) => (float[N,16,8] q, float[N,16,8] k)
    { n = LayerNormalization (x, scale, bias)  q = MatMul (n, wq)  k = MatMul (n, wk) }
    """
    rng = np.random.default_rng(3)
    scale = np.ones(64)
    scale[5] = 60.0
    arrays = {"scale": scale, "bias": rng.normal(size=64), "wq": rng.normal(size=(64, 8))}
    arrays["wk"] = rng.normal(size=(64, 8))
    model = parse(text, **{name: array.astype(np.float32) for name, array in arrays.items()})
    made = tamed(model, samples=0)
    assert dict(op_types(made.graph)) == {"LayerNormalization": 1, "MatMul": 2}
    scales = {name: a for name, a in initializers(made).items() if a.shape == (64,)}
    assert max(float(np.abs(a).max()) for a in scales.values()) < 4.0
    for want, got in zip(run_small(model, feeds(1)[0]), run_small(made, feeds(1)[0]), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_what_follows_still_fuses(tmp_path: Path) -> None:
    observe = Observer(feeds(2))
    outcome = optimise(block(), f"{RULE}, quantize-dynamic, {TIDY}", observe=observe)
    save(outcome.model, tmp_path / "model.onnx", fsync=False)
    report = prove(tmp_path / "model.onnx")
    assert [f.kernel for f in report.findings] == ["DynamicQuantizeMatMul"] * 2
    assert [f.mode for f in report.findings] == ["dynamic"] * 2
    assert report.integers == 2
