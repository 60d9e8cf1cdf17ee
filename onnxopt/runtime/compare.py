"""Comparing what two models returned, output by output.

Numbers are measured, integers, booleans and strings must be equal, NaN and infinities must be in the
same places, shapes and dtypes must agree; sequences, optionals and maps are compared leaf by leaf.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnxopt.runtime.metrics import Figures, Tolerance, measure
from onnxopt.runtime.tolerance import family, tolerance_for

LEAST_COSINE = 0.9
"""Between the outputs of a model and of its quantised form, below which something is broken."""


@dataclass
class OutputDiff:
    """The difference between one output of the reference and of the candidate.

    Attributes:
        name: the output's name; leaves of sequences and maps, in order, as ``name[0]``.
        dtype: dtype of the reference ('str' for strings).
        shape: shape of the reference.
        problem: why the two cannot be compared element by element (shape, dtype, length), or ''.
        figures: the measured differences.
        tolerance: the tolerance that was applied.
        similar_is_enough: the candidate was quantised; see `similar`.
    """

    name: str
    dtype: str
    shape: list[int]
    problem: str = ""
    figures: Figures = field(default_factory=Figures)
    tolerance: Tolerance = field(default_factory=Tolerance)
    similar_is_enough: bool = False

    @property
    def ok(self) -> bool:
        """Same type and shape, and every element within tolerance."""
        if self.similar_is_enough and self.similar:
            return True
        return not self.problem and not self.figures.special and not self.figures.outside

    @property
    def similar(self) -> bool:
        """What a quantised model's output has to be: of the same type and shape, finite, and pointing the same way.

        Indices, classes and masks are discrete functions of such outputs, of which no element need be the same.
        """
        if self.problem or self.figures.special:
            return False
        return family(self.dtype) is None or self.figures.cosine >= LEAST_COSINE

    @property
    def elements(self) -> int:
        """Number of elements of the reference."""
        return math.prod(self.shape)

    def describe(self) -> str:
        """What differs, in a few words."""
        f = self.figures
        if self.problem:
            return self.problem
        parts = []
        if f.special:
            parts.append(f"NaN or infinity in {f.special} of {self.elements} elements differs")
        if f.outside and self.tolerance == Tolerance():
            parts.append(f"{f.outside} of {self.elements} elements differ")
        elif f.outside:
            parts.append(
                f"max error {f.max_abs:.3g} where the largest value is {f.scale:.3g},"
                f" SNR {f.snr_db:.1f} dB, {f.outside} of {self.elements} elements out of tolerance"
            )
        return "; ".join(parts) or "equal within tolerance"


def compare_outputs(
    reference: Mapping[str, Any],
    candidate: Mapping[str, Any],
    *,
    rtol: float | None = None,
    atol: float | None = None,
    exact: bool = False,
    precision: str | None = None,
    converted: bool = False,
) -> list[OutputDiff]:
    """Compare the outputs of one run.

    Args:
        reference: output name -> array, list (sequence), dict (map) or None (empty optional).
        candidate: the same of the model under test.
        rtol: relative tolerance for floating point; None for defaults by dtype.
        atol: absolute tolerance for floating point; None for defaults by dtype.
        exact: only bit-exact rewrites were applied, so only the runtime's own rounding may differ.
        precision: coarsest float type inside the model (``float16``, ``bfloat16``), if any.
        converted: the candidate was converted to that type, and the reference was not.

    Returns:
        One entry an output (a leaf, for containers), in the reference's order.
    """
    options = {
        "rtol": rtol,
        "atol": atol,
        "exact": exact,
        "precision": precision,
        "converted": converted,
    }
    diffs: list[OutputDiff] = []
    for name, expected in reference.items():
        if name not in candidate:
            diffs.append(OutputDiff(name, "", [], "the candidate has no such output"))
            continue
        diffs += _compare(name, expected, candidate[name], options)
    return diffs


def leaves(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten containers: leaf name as in `OutputDiff` -> array (or None)."""
    flat: dict[str, Any] = {}
    pending = list(outputs.items())
    while pending:
        name, value = pending.pop()
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list | tuple):
            pending += [(f"{name}[{index}]", item) for index, item in enumerate(value)]
        else:
            flat[name] = None if value is None else np.asarray(value)
    return flat


def _compare(
    name: str, expected: Any, actual: Any, options: Mapping[str, Any]
) -> Iterator[OutputDiff]:
    kinds = (_kind(expected), _kind(actual))
    if kinds[0] != kinds[1]:
        yield OutputDiff(name, "", [], f"{kinds[1]} instead of {kinds[0]}")
        return
    match kinds[0]:
        case "nothing":
            yield OutputDiff(name, "", [])
        case "sequence" | "map":
            yield from _containers(name, expected, actual, options)
        case _:
            yield _tensors(name, np.asarray(expected), np.asarray(actual), options)


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "map"
    return "sequence" if isinstance(value, list | tuple) else "tensor"


def _containers(
    name: str, expected: Any, actual: Any, options: Mapping[str, Any]
) -> Iterator[OutputDiff]:
    if len(expected) != len(actual):
        problem = f"{len(actual)} elements instead of {len(expected)}"
        yield OutputDiff(name, "", [len(expected)], problem)
        return
    if isinstance(expected, dict):
        if list(expected) != list(actual):
            yield OutputDiff(name, "", [len(expected)], "other keys")
            return
        expected, actual = list(expected.values()), list(actual.values())
    if not len(expected):
        yield OutputDiff(name, "", [0])
    for index, (one, other) in enumerate(zip(expected, actual, strict=True)):
        yield from _compare(f"{name}[{index}]", one, other, options)


def _tensors(
    name: str, expected: np.ndarray, actual: np.ndarray, options: Mapping[str, Any]
) -> OutputDiff:
    dtype = _dtype(expected)
    diff = OutputDiff(name, dtype, list(expected.shape))
    if _dtype(actual) != dtype:
        diff.problem = f"dtype {_dtype(actual)} instead of {dtype}"
    elif actual.shape != expected.shape:
        diff.problem = f"shape {list(actual.shape)} instead of {list(expected.shape)}"
    elif dtype == "str":
        unequal = [str(a) != str(b) for a, b in zip(expected.flat, actual.flat, strict=True)]
        diff.figures = Figures(outside=sum(unequal), finite=len(unequal))
    else:
        diff.tolerance = tolerance_for(dtype, **options)
        diff.figures = _measure(expected, actual, diff.tolerance)
    return diff


def _measure(expected: np.ndarray, actual: np.ndarray, tolerance: Tolerance) -> Figures:
    figures = measure(expected, actual, tolerance)
    if expected.dtype.kind in "iu" and expected.dtype.itemsize == 8:
        figures.outside = int((expected != actual).sum())  # float64 cannot tell 2^60 from 2^60 + 1
    return figures


def _dtype(array: np.ndarray) -> str:
    return "str" if array.dtype.kind in "OUS" else array.dtype.name
