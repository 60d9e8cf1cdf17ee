"""What a latency run comes to: how we stand to the original and to the fastest other tool."""

from __future__ import annotations

from bench_lib.latency.grids import NONE, Grid, ratio
from bench_lib.latency.ratios import counts, fastest_peer, geomean, paired, relative, speedup
from bench_lib.latency.results import LatencyCase, LatencyReport, LatencyRow, Measure, Setting

STANDING_HEADERS = (
    "setting",
    "tool",
    "models",
    "faster",
    "by min",
    "by cpu",
    "worst",
    "best peer ÷ ours",
    "behind a peer",
    "outside",
    "load",
    "left out",
)
DUEL_HEADERS = ("setting", "model", "best peer", "its speedup")
SAME = 0.02  # closer than this is not called ahead or behind: rounds differ by as much

Counted = list[tuple[LatencyCase, LatencyRow]]


def standing(report: LatencyReport) -> Grid:
    """Ours and the control in each setting, over all models; ratios are geometric means."""
    grid = Grid("Over all models", STANDING_HEADERS)
    for setting in report.settings:
        for tool in _named(report, "control", "ours"):
            mine = tool in _named(report, "ours")
            grid.add(setting.label, *_line(report, tool, setting), ours=mine)
    return grid


def duels(report: LatencyReport) -> Grid:
    """Model by model: the fastest other tool, and our speedup over it (above 1 we are faster)."""
    tools = _named(report, "ours")
    grid = Grid("The fastest other tool of each model: its time ÷ ours", (*DUEL_HEADERS, *tools))
    for setting in report.settings:
        for case in (c for c in report.cases if c.rows):
            best = fastest_peer(case, setting)
            name, gain = (best[0].tool, ratio(best[1])) if best else (NONE, NONE)
            found = [_against_peer(case, _row(case, tool), setting) for tool in tools]
            grid.add(setting.label, case.label, name, gain, *map(ratio, found))
    return grid


def _named(report: LatencyReport, *roles: str) -> list[str]:
    """Names of the tools with these roles, in order."""
    names = (row.tool for case in report.cases for row in case.rows if row.role in roles)
    return list(dict.fromkeys(names))


def _line(report: LatencyReport, tool: str, setting: Setting) -> tuple[str, ...]:
    """The cells of :data:`STANDING_HEADERS` from the second on."""
    found: Counted = []
    left_out: list[str] = []
    for case in report.cases:
        row = _row(case, tool)
        if row is not None and counts(row, setting):
            found.append((case, row))
        else:
            left_out.append(case.label)
    duel = [_against_peer(case, row, setting) for case, row in found]
    known = [value for value in duel if value is not None]
    return (
        tool,
        str(len(found)),
        ratio(_mean_speedup(found, setting, "median_ms")),
        ratio(_mean_speedup(found, setting, "minimum_ms")),
        ratio(_mean_speedup(found, setting, "cpu_ms")),
        _worst(found, setting),
        ratio(geomean(known)),
        str(sum(value < 1 - SAME for value in known)),
        ratio(_mean_relative(found, setting, "outside_ms")),
        ratio(_mean_relative(found, setting, "load_ms")),
        ", ".join(left_out),
    )


def _row(case: LatencyCase, tool: str) -> LatencyRow | None:
    return next((r for r in case.rows if r.tool == tool), None)


def _mean_speedup(found: Counted, setting: Setting, measure: Measure) -> float | None:
    values = [speedup(case, row, setting, measure) for case, row in found]
    return geomean([v for v in values if v is not None])


def _mean_relative(found: Counted, setting: Setting, measure: Measure) -> float | None:
    values = [relative(case, row, setting, measure) for case, row in found]
    return geomean([v for v in values if v is not None])


def _worst(found: Counted, setting: Setting) -> str:
    values = [(speedup(case, row, setting, "median_ms"), case.label) for case, row in found]
    known = [(value, label) for value, label in values if value is not None]
    return "{:.2f} ({})".format(*min(known)) if known else NONE


def _against_peer(case: LatencyCase, row: LatencyRow | None, setting: Setting) -> float | None:
    """The fastest peer's time ÷ the row's, paired; None where either is missing or wrong."""
    best = fastest_peer(case, setting)
    if row is None or best is None or not counts(row, setting):
        return None
    mine, theirs = row.timing(setting), best[0].timing(setting)
    return paired(theirs, mine, "median_ms") if mine and theirs else None
