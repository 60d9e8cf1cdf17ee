"""The picture of a latency run: each tool's latency relative to the original's, by model and setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench_lib.latency.ratios import relative
from bench_lib.latency.results import LatencyCase, LatencyReport, LatencyRow, Setting
from bench_lib.plot import COLOURS


def draw(report: LatencyReport, path: Path) -> None:
    """Write a PNG: a row of axes for each model, a column for each setting; less is faster.

    Raises:
        ImportError: matplotlib is not installed.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    cases = [case for case in report.cases if case.rows]
    rows, columns = max(len(cases), 1), max(len(report.settings), 1)
    size = (4.2 * columns + 1.5, 2.6 * rows)
    figure, axes = pyplot.subplots(rows, columns, figsize=size, squeeze=False)
    for line, case in zip(axes, cases, strict=False):
        for axis, setting in zip(line, report.settings, strict=True):
            _bars(axis, case, setting)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _bars(axis: Any, case: LatencyCase, setting: Setting) -> None:
    found = [relative(case, row, setting, "median_ms") for row in case.rows]
    values = [value or 0.0 for value in found]
    colours = [COLOURS[row.role] for row in case.rows]
    bars = axis.barh([row.tool for row in case.rows], values, color=colours)
    labels = [_label(row, value) for row, value in zip(case.rows, found, strict=True)]
    axis.bar_label(bars, labels, fontsize=7, padding=2)
    fastest = [relative(case, row, setting, "minimum_ms") for row in case.rows]
    dots = [(x, y) for y, x in enumerate(fastest) if x is not None]
    axis.scatter([x for x, _ in dots], [y for _, y in dots], s=9, color="black", zorder=3)
    axis.axvline(1.0, color="black", linewidth=0.7, linestyle=":")
    axis.invert_yaxis()
    axis.set_xlim(0, max([1.0, *values]) * 1.25)  # room for the numbers
    axis.tick_params(labelsize=7)
    axis.set_xlabel("median latency ÷ original's (dot: fastest run)", fontsize=7)
    axis.set_title(f"{case.label}, {setting.label}", fontsize=8)


def _label(row: LatencyRow, value: float | None) -> str:
    if value is None:
        return "did not run"
    return f"{value:.2f}" if row.parity == "same" else f"{value:.2f}, {row.parity}"
