"""Rounding weights to nearest, by block, channel and tensor."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from onnxopt.errors import ModelError
from onnxopt.quantization.blocks import Scheme, packed, round_to_nearest
from onnxopt.quantization.types import QType, qtype

from .support import gaussian, squared, with_outliers


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    weight = gaussian()
    weight[5, 3] = bad
    with pytest.raises(ModelError, match=r"NaN or infinite values.*exclude it"):
        round_to_nearest(weight, Scheme(qtype("s4")))


def test_zeros_stay_zeros_and_their_scale_is_one() -> None:
    weight = np.zeros((32, 2), np.float32)
    for name, symmetric in (("s4", True), ("u4", False)):
        scheme = Scheme(qtype(name), 16, symmetric)
        stored = round_to_nearest(weight, scheme)
        np.testing.assert_array_equal(stored.scale, np.ones((2, 2)))
        np.testing.assert_array_equal(stored.restored(scheme), weight)


def test_half_precision_scales_that_vanish_become_one() -> None:
    scheme = Scheme(qtype("s8"), 16, True, scale_dtype=np.dtype(np.float16))
    stored = round_to_nearest(np.full((16, 1), 1e-7, np.float32), scheme)
    assert stored.scale.dtype == np.float16
    assert stored.scale[0, 0] == 1
    assert not stored.integers.any()


def test_integers_are_chosen_for_the_scale_as_it_is_stored() -> None:
    scheme = Scheme(qtype("s8"), 32, True, scale_dtype=np.dtype(np.float16))
    weight = gaussian()
    stored = round_to_nearest(weight, scheme)
    step = np.repeat(stored.scale.astype(np.float32), 32, axis=0)
    inside = np.abs(stored.integers.astype(np.int32)) < 127
    assert (np.abs(stored.restored(scheme) - weight) <= 0.5001 * step)[inside].all()


@pytest.mark.parametrize("name", ["s4", "u4", "s8", "u8"])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("block", [16, 32, None])
def test_errors_are_half_a_step_and_a_rounded_zero_point_at_most(
    name: str, symmetric: bool, block: int | None
) -> None:
    kind: QType = qtype(name)
    scheme = Scheme(kind, block, symmetric)
    weight = gaussian(depth=250)
    stored = round_to_nearest(weight, scheme)
    rows = block or 250
    assert stored.integers.shape == (250, 96)
    assert stored.scale.shape == stored.zero_point.shape == (-(-250 // rows), 96)
    step = np.repeat(stored.scale, rows, axis=0)[:250]
    assert (np.abs(stored.restored(scheme) - weight) <= 1.001 * step).all()
    assert stored.integers.min() >= kind.low
    assert stored.integers.max() <= kind.high


def test_a_symmetric_grid_uses_the_step_the_negative_end_has_more() -> None:
    down = np.array([[-8.0], [3.0]] * 8, np.float32)
    stored = round_to_nearest(down, Scheme(qtype("s4"), 16, True))
    assert stored.scale[0, 0] == 1.0
    assert stored.integers.min() == -8
    up = round_to_nearest(-down, Scheme(qtype("s4"), 16, True))
    assert up.scale[0, 0] == np.float32(8 / 7)


def test_smaller_shares_of_a_scale_mean_smaller_errors() -> None:
    for weight in (gaussian(), with_outliers()):
        four = qtype("s4")
        schemes = (Scheme(four, 32), Scheme(four, None), Scheme(four, None, whole=True))
        block, channel, tensor = (squared(weight, round_to_nearest(weight, s), s) for s in schemes)
        assert block < 0.7 * channel
        assert channel < 0.7 * tensor


def test_packing_is_that_of_onnx() -> None:
    for name, dtype in (("s4", ir.DataType.INT4), ("u4", ir.DataType.UINT4)):
        kind = qtype(name)
        values = np.random.default_rng(0).integers(kind.low, kind.high + 1, (5, 3))
        stored = values.astype(np.int8 if kind.signed else np.uint8)
        wanted = ir.Tensor(values.astype(dtype.numpy()), dtype).tobytes()
        assert packed(stored, 4).tobytes() == wanted
        assert len(wanted) == 8
    assert packed(np.array([[-1, 2]], np.int8), 8).tobytes() == b"\xff\x02"
