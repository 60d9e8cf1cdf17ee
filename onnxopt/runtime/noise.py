"""The noise floor: how much the original model itself moves when only rounding changes.

Deep networks can be chaotic, and outputs such as ``ArgMax``, ``NonMaxSuppression`` or quantised codes are
discontinuous: rounding alone moves them by more than any fixed tolerance. So where a candidate
exceeds its tolerance, the *original* is measured against itself, run with other optimisation levels and run
with inputs perturbed by a few units in the last place. The candidate may be no worse than a small
factor times that: locally (around each element) and in root mean square. A wrong rewrite is orders
of magnitude above that floor.

For integers, booleans and strings the number of differing elements counts, and the rate is pooled over all
samples, because one sample may have few elements. Wide integers are taken for indices, where the
amount of a difference means nothing; for 8-bit codes, or where many differ, the amount must fit too.
A wrong shape is excused only when the original's own shape changes too (a data-dependent count).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxopt.runtime.compare import OutputDiff, compare_outputs
from onnxopt.runtime.metrics import Figures, error_magnitude, local_peak, measure
from onnxopt.runtime.tensors import is_extended
from onnxopt.runtime.tolerance import coarser, family

FACTOR = 4.0
FACTOR_EXACT = 2.0
_PEAK = 2.0  # maxima fluctuate more between runs than root mean squares do
_RARE = 0.05
_INDEX_LIKE = ("int32", "int64", "uint32", "uint64", "str", "bool")

# Relative size of the perturbation: a few units in the last place, one for the short types.
_PERTURBATION = {
    "float64": 2.0**-50,
    "float32": 2.0**-21,
    "float16": 2.0**-10,
    "bfloat16": 2.0**-7,
}


@dataclass
class Pool:
    """How often an element of one output flipped, over all samples and disturbed runs."""

    flips: int = 0
    trials: int = 0

    def expected(self, elements: int) -> int:
        """Flips to expect among so many elements, rounded up; 0 when none was ever seen."""
        return math.ceil(self.flips / self.trials * elements) if self.trials else 0


class NoiseFloor:
    """The noise of one output (leaf) on one sample, over several disturbed runs.

    Args:
        reference: what the undisturbed original returned.
        pool: shared by the floors of the same output on all samples.
    """

    def __init__(self, reference: np.ndarray, pool: Pool | None = None) -> None:
        self._reference = reference
        self._pool = pool or Pool()
        self._peak: np.ndarray | None = None
        self.worst = Figures()
        self.reshaped = False
        self.runs = 0

    def add(self, disturbed: Any) -> None:
        """Take in what a disturbed run of the original returned."""
        self.runs += 1
        diff = compare_outputs({"": self._reference}, {"": disturbed})[0]
        if diff.problem:
            self.reshaped = True
            return
        f, worst = diff.figures, self.worst
        self._pool.flips += f.outside
        self._pool.trials += diff.elements
        worst.rms = max(worst.rms, f.rms)
        worst.max_abs = max(worst.max_abs, f.max_abs)
        worst.special = max(worst.special, f.special)
        worst.outside = max(worst.outside, f.outside)
        worst.snr_db = min(worst.snr_db, f.snr_db)
        if family(diff.dtype) is not None:
            error = error_magnitude(self._reference, disturbed)
            self._peak = error if self._peak is None else np.maximum(self._peak, error)

    def excuses(self, diff: OutputDiff, candidate: Any, *, exact: bool) -> bool:
        """Is the candidate's difference no worse than the original's own?

        Args:
            diff: the candidate against the reference.
            candidate: what the candidate returned.
            exact: only bit-exact rewrites were applied, which halves the factor.
        """
        factor = FACTOR_EXACT if exact else FACTOR
        if not self.runs:
            return False
        if diff.problem:
            return self.reshaped and diff.problem.startswith("shape ")
        if diff.figures.special > factor * self.worst.special:
            return False
        if family(diff.dtype) is None:
            return self._excuses_exact_type(diff, factor)
        if self._peak is None:
            return False
        allowance = _PEAK * factor * local_peak(self._peak)
        figures = measure(self._reference, candidate, diff.tolerance, allowance)
        return not figures.outside and diff.figures.rms <= factor * self.worst.rms

    def _excuses_exact_type(self, diff: OutputDiff, factor: float) -> bool:
        flips = max(self.worst.outside, self._pool.expected(diff.elements))
        if diff.figures.outside > factor * flips:
            return False
        few = flips <= max(1.0, _RARE * diff.elements)
        if diff.dtype in _INDEX_LIKE and few:
            return True
        return diff.figures.rms <= factor * self.worst.rms


def perturb(
    feed: Mapping[str, Any], seed: int, precision: str | None = None
) -> dict[str, Any] | None:
    """A feed with every floating-point input changed by a few units in the last place.

    Args:
        feed: input name -> value.
        seed: seed of the perturbation.
        precision: the coarsest float type that either model computes in, whose last places then count.

    Returns:
        The perturbed feed; None when it has no floating-point tensor.
    """
    rng = np.random.default_rng((seed, 77))
    result = {name: _perturbed(value, rng, precision) for name, value in feed.items()}
    changed = any(result[name] is not feed[name] for name in feed)
    return result if changed else None


def _perturbed(value: Any, rng: np.random.Generator, precision: str | None) -> Any:
    if isinstance(value, list):
        items = [_perturbed(item, rng, precision) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else items
    if not isinstance(value, np.ndarray) or value.dtype.name not in _PERTURBATION:
        return value
    wide = value.astype(np.float64)
    size = _PERTURBATION[coarser(value.dtype.name, precision) or value.dtype.name]
    factor = 1.0 + size * rng.uniform(-1.0, 1.0, value.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        changed = wide * factor
    if not is_extended(value.dtype):
        return changed.astype(value.dtype)
    return changed.astype(np.float32).astype(value.dtype)
