"""Ratios of noisy times: paired within a round, since what disturbs a round disturbs all that run in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from bench_lib.latency.results import LatencyCase, LatencyRow, Measure, Setting, Timing


def paired(one: Timing, two: Timing, measure: Measure) -> float | None:
    """The median over rounds of ``one`` ÷ ``two``; None where neither has such figures."""
    pairs = zip(one.series(measure), two.series(measure), strict=False)
    found = [a / b for a, b in pairs if b > 0]
    return median(found) if found else None


def speedup(case: LatencyCase, row: LatencyRow, setting: Setting, measure: Measure) -> float | None:
    """The original's time ÷ the row's: above 1 the row is faster."""
    return _of(case.original, row, setting, measure)


def relative(
    case: LatencyCase, row: LatencyRow, setting: Setting, measure: Measure
) -> float | None:
    """The row's time ÷ the original's: below 1 the row is faster."""
    return _of(row, case.original, setting, measure)


def counts(row: LatencyRow, setting: Setting) -> bool:
    """Whether a row may win: it was measured, and computes what the original computes."""
    return row.timing(setting) is not None and row.parity == "same"


def fastest_peer(case: LatencyCase, setting: Setting) -> tuple[LatencyRow, float] | None:
    """The other tool with the greatest speedup of the medians, and that speedup."""
    peers = [r for r in case.rows if r.role in ("simplifier", "peer") and counts(r, setting)]
    found = [(speedup(case, row, setting, "median_ms"), row) for row in peers]
    known = [(ratio, row) for ratio, row in found if ratio is not None]
    if not known:
        return None
    ratio, row = max(known, key=lambda pair: pair[0])
    return row, ratio


def geomean(values: Sequence[float]) -> float | None:
    """The geometric mean of positive values."""
    positive = [v for v in values if v > 0]
    if not positive:
        return None
    return math.exp(sum(map(math.log, positive)) / len(positive))


def _of(
    one: LatencyRow | None, two: LatencyRow | None, setting: Setting, measure: Measure
) -> float | None:
    first = one.timing(setting) if one else None
    second = two.timing(setting) if two else None
    return paired(first, second, measure) if first and second else None
