"""Which difference is rounding: default tolerances by dtype, and the noise floor.

A default tolerance has a part relative to the element and a part relative to the output's largest
magnitude: rounding errors in a network are of the order of the *sums* that produced a value, so a small
element beside large ones carries their error. The reference runs with graph optimisations off and the
candidate with the default ones, so even an identical model differs by rounding; exactness of the
passes only makes the tolerance ten times tighter.

Deep networks can be chaotic, and outputs such as ``ArgMax`` or quantised codes are discontinuous: rounding
alone moves them by more than any fixed tolerance. So where a candidate exceeds its tolerance, the
*original* model is measured against itself (run with default optimisations, and with inputs perturbed
by a few units in the last place), and the candidate may be no worse than a small factor times that.
A wrong rewrite is orders of magnitude above that floor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from onnxopt.runtime.metrics import Figures

NOISE_FACTOR = 4.0
NOISE_FACTOR_EXACT = 2.0
_PEAK = 2.0  # maxima fluctuate more between runs than root mean squares do
_RARE = 0.05


@dataclass(frozen=True)
class Tolerance:
    """``|c - r| <= atol + rtol * |r| + scale_tol * max|r|``."""

    rtol: float
    atol: float
    scale_tol: float


# Per dtype: about 1000, 1e-7-ish and 200 units in the last place for float32 and float64; for
# the short types a few units, because they are rounded at every step.
_DEFAULTS: dict[str, Tolerance] = {
    "float64": Tolerance(1e-9, 1e-15, 1e-10),
    "float32": Tolerance(1e-4, 1e-7, 2e-5),
    "float16": Tolerance(5e-3, 1e-6, 2e-3),
    "bfloat16": Tolerance(4e-2, 1e-6, 1.6e-2),
    "float8": Tolerance(0.25, 1e-6, 0.1),
}
_COARSENESS = ("float64", "float32", "float16", "bfloat16", "float8")


def family(dtype: str) -> str | None:
    """The row of the table a dtype belongs to; None for exact types (integers, bool, str)."""
    if dtype in ("complex64", "complex128"):
        return "float32" if dtype == "complex64" else "float64"
    if dtype.startswith(("float8", "float4")):
        return "float8"
    return dtype if dtype in _DEFAULTS else None


def tolerance_for(
    dtype: str,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    exact: bool = False,
    precision: str | None = None,
) -> Tolerance:
    """The tolerance of a floating-point output.

    Args:
        dtype: the output's dtype name.
        rtol: the user's relative tolerance; given either of the two, the other defaults to 0 and
            nothing is added for the output's scale.
        atol: the user's absolute tolerance.
        exact: only bit-exact rewrites were applied.
        precision: the coarsest float type used inside the model, when coarser than the output's.

    Returns:
        The tolerance; zero throughout for integers, booleans and strings.
    """
    row = family(dtype)
    if row is None:
        return Tolerance(0.0, 0.0, 0.0)
    if rtol is not None or atol is not None:
        return Tolerance(rtol or 0.0, atol or 0.0, 0.0)
    if precision in _COARSENESS and _COARSENESS.index(precision) > _COARSENESS.index(row):
        row = precision
    base = _DEFAULTS[row]
    if exact and row in ("float64", "float32"):
        return Tolerance(base.rtol / 10, base.atol, base.scale_tol / 10)
    return base


def within_noise(
    figures: Figures, noise: Sequence[Figures], elements: int, *, dtype: str, exact: bool
) -> bool:
    """Is the candidate's error no worse than the original's own?

    Args:
        figures: the candidate against the reference.
        noise: the original against the reference, one entry a way of disturbing it.
        elements: how many elements the output has.
        dtype: the output's dtype name. Wide integers are taken for indices: how *many* differ
            counts, not by how much, as long as few do.
        exact: only bit-exact rewrites were applied.
    """
    if not noise:
        return False
    factor = NOISE_FACTOR_EXACT if exact else NOISE_FACTOR
    if figures.special > factor * max(n.special for n in noise):
        return False
    rms = max(n.rms for n in noise)
    peak = max(n.max_abs for n in noise)
    if family(dtype) is not None:
        return figures.rms <= factor * rms and figures.max_abs <= _PEAK * factor * peak
    flips = max(n.outside for n in noise)
    if figures.outside > factor * flips:
        return False
    index_like = dtype in ("int32", "int64", "uint32", "uint64", "str", "bool")
    return (index_like and flips <= max(1.0, _RARE * elements)) or figures.rms <= factor * rms


def ulp(dtype: np.dtype) -> float | None:
    """Relative size of the disturbance used for the noise floor; None for exact types."""
    return {"float64": 2.0**-50, "float32": 2.0**-21, "float16": 2.0**-10, "bfloat16": 2.0**-7}.get(
        dtype.name
    )
