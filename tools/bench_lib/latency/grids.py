"""The figures of a latency run as tables of text, for whatever shows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

from bench_lib.latency.kernels import KINDS
from bench_lib.latency.ratios import relative, speedup
from bench_lib.latency.results import LatencyCase, LatencyReport, LatencyRow, Setting
from bench_lib.tables import verdict

NONE = "–"


@dataclass
class Grid:
    """A table of text, in parts that share what stands in the first column.

    Attributes:
        title: What it shows.
        headers: Names of its columns.
        rows: Its lines.
        ours: Which lines are ours.
        breaks: Which lines begin a new part.
    """

    title: str
    headers: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    ours: set[int] = field(default_factory=set)
    breaks: list[int] = field(default_factory=list)
    _part: str = ""

    def add(self, part: str, *cells: str, ours: bool = False) -> None:
        """Append a line; the part's name stands only in the first of its lines."""
        number = len(self.rows)
        begins = part != self._part
        self.rows.append((part if begins else "", *cells))
        self._part = part
        if begins:
            self.breaks.append(number)
        if ours:
            self.ours.add(number)


TEXTS = {"setting", "tool", "model", "best peer", "worst", "left out", "result", "note", "method"}
TEXTS |= {"left in float", "best setting", "measures"}
LATENCY_HEADERS = (
    "setting",
    "tool",
    "median ms",
    "min ms",
    "faster",
    "by min",
    "by cpu",
    "load ms",
    "load ÷",
    "by cpu",
    "outside ms",
    "outside ÷",
    "nodes",
    "result",
)
SHARE_HEADERS = ("setting", "tool", *KINDS)


def latency_grid(case: LatencyCase, settings: list[Setting]) -> Grid:
    """Latency, load time and time outside the matrix kernels of each tool in each setting."""
    grid = Grid(f"{case.label}: {case.nodes:,} nodes, {case.bytes / 1e6:,.1f} MB", LATENCY_HEADERS)
    for setting, row in product(settings, case.rows):
        cells = _latency_cells(case, row, setting)
        grid.add(setting.label, row.tool, *cells, ours=row.role == "ours")
    return grid


def share_grid(case: LatencyCase, settings: list[Setting]) -> Grid:
    """The share of the kernels' time that each kind takes; without the rows that were not profiled."""
    grid = Grid(f"{case.label}: share of the kernels' time by kind", SHARE_HEADERS)
    for setting, row in product(settings, case.rows):
        timing = row.timing(setting)
        shares = [timing.share(kind) for kind in KINDS] if timing else []
        known = [f"{share:.1%}" for share in shares if share is not None]
        if known:
            grid.add(setting.label, row.tool, *known, ours=row.role == "ours")
    return grid


def notes(report: LatencyReport) -> Iterator[str]:
    """Models without rows, a machine that was not idle, and why kernels could not be timed."""
    reasons: set[str] = set()
    busy = max((case.busy for case in report.cases), default=0.0)
    threads = max((setting.threads for setting in report.settings), default=0)
    if busy > threads + 1:
        yield f"The machine was not idle: load average up to {busy:.1f}."
    for case in report.cases:
        if case.failure:
            yield f"{case.label}: {case.failure}"
        reasons |= {t.unprofiled for row in case.rows for t in row.timings if t.unprofiled}
    yield from (f"not profiled: {reason}" for reason in sorted(reasons))


def ratio(value: float | None) -> str:
    """A ratio as text."""
    return f"{value:.2f}" if value is not None else NONE


def milliseconds(value: float | None) -> str:
    """A time as text, with three digits that matter."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if value >= 1000 else f"{value:.{2 if value >= 1 else 3}f}"


def _latency_cells(case: LatencyCase, row: LatencyRow, setting: Setting) -> tuple[str, ...]:
    timing = row.timing(setting)
    if timing is None:
        return *[NONE] * (len(LATENCY_HEADERS) - 3), row.why_not(setting)
    return (
        milliseconds(timing.figure("median_ms")),
        milliseconds(timing.figure("minimum_ms")),
        ratio(speedup(case, row, setting, "median_ms")),
        ratio(speedup(case, row, setting, "minimum_ms")),
        ratio(speedup(case, row, setting, "cpu_ms")),
        milliseconds(timing.figure("load_ms")),
        ratio(relative(case, row, setting, "load_ms")),
        ratio(relative(case, row, setting, "load_cpu_ms")),
        milliseconds(timing.figure("outside_ms")),
        ratio(relative(case, row, setting, "outside_ms")),
        f"{row.nodes:,}",
        verdict(row),
    )
