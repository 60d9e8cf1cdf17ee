"""Which difference is rounding: default tolerances by dtype.

A default tolerance has a part relative to the element and a part relative to the largest magnitude
around it (`metrics.local_peak`): rounding errors in a network are of the order of the *sums* that
produced a value, so a small element beside large ones carries their error. The reference runs with
graph optimisations off and the candidate with the default ones, so even an identical model differs
by rounding; exactness of the passes only makes the tolerance ten times tighter.

What exceeds its tolerance is not yet wrong: see `noise`.
"""

from __future__ import annotations

from onnxopt.runtime.metrics import Tolerance

# float32 and wider: hundreds of units in the last place; the short types: a few, because every
# operator rounds to them. The absolute part only keeps exact zeros from being judged.
_DEFAULTS: dict[str, Tolerance] = {
    "float64": Tolerance(1e-9, 1e-18, 1e-10),
    "float32": Tolerance(1e-4, 1e-9, 2e-5),
    "float16": Tolerance(5e-3, 1e-7, 2e-3),
    "bfloat16": Tolerance(4e-2, 1e-9, 1.6e-2),
    "float8": Tolerance(0.25, 1e-6, 0.1),
}
# In a model that was converted, every weight and every operator rounds, one after the other.
_CONVERTED = 10.0
_COARSENESS = ("float64", "float32", "float16", "bfloat16", "float8")


def family(dtype: str) -> str | None:
    """The row of the table a dtype belongs to; None for exact types (integers, bool, str)."""
    if dtype in ("complex64", "complex128"):
        return "float32" if dtype == "complex64" else "float64"
    if dtype.startswith(("float8", "float4")):
        return "float8"
    return dtype if dtype in _DEFAULTS else None


def coarser(one: str | None, other: str | None) -> str | None:
    """The coarser of two float types by name; None stands for what the outputs themselves say."""
    known = [name for name in (one, other) if name in _COARSENESS]
    return max(known, key=_COARSENESS.index, default=None)


def tolerance_for(
    dtype: str,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    exact: bool = False,
    precision: str | None = None,
    converted: bool = False,
) -> Tolerance:
    """The tolerance of a floating-point output.

    Args:
        dtype: the output's dtype name.
        rtol: the user's relative tolerance; given either of the two, the other defaults to 0 and
            nothing is added for the output's scale.
        atol: the user's absolute tolerance.
        exact: only bit-exact rewrites were applied.
        precision: the coarsest float type used inside the model, when coarser than the output's.
        converted: the candidate was converted to that precision, and the reference was not.

    Returns:
        The tolerance; zero throughout for integers, booleans and strings.
    """
    row = family(dtype)
    if row is None:
        return Tolerance()
    if rtol is not None or atol is not None:
        return Tolerance(rtol or 0.0, atol or 0.0, 0.0)
    if precision in _COARSENESS and _COARSENESS.index(precision) > _COARSENESS.index(row):
        row = precision
    base = _DEFAULTS[row]
    if exact and row in ("float64", "float32"):
        return Tolerance(base.rtol / 10, base.atol, base.scale_tol / 10)
    if converted:
        return Tolerance(base.rtol * _CONVERTED, base.atol, base.scale_tol * _CONVERTED)
    return base
