"""The benchmark's picture: wall time and peak memory of each tool on each model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench_lib.results import CaseResult, Report

COLOURS = {
    "ours": "#c1272d",
    "simplifier": "#3b6ea5",
    "peer": "#8fb3d9",
    "floor": "#b5b5b5",
    "original": "#b5b5b5",
    "control": "#d9d9d9",
}


def draw(report: Report, path: Path) -> None:
    """Write a PNG with two bars (time, memory) per tool and model.

    Raises:
        ImportError: matplotlib is not installed.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    count = max(len(report.cases), 1)
    figure, axes = pyplot.subplots(count, 2, figsize=(11, 2.4 * count), squeeze=False)
    for (left, right), case in zip(axes, report.cases, strict=False):
        _bars(left, case, "wall", "wall time, s")
        _bars(right, case, "peak_mb", "peak memory, MB")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _bars(axis: Any, case: CaseResult, key: str, label: str) -> None:
    rows = [r for r in case.rows if r.status == "ok" and not (r.role == "floor" and key != "wall")]
    values = [getattr(row, key) for row in rows]
    bars = axis.barh([r.tool for r in rows], values, color=[COLOURS[r.role] for r in rows])
    axis.bar_label(bars, [f"{v:,.2f}" if v < 10 else f"{v:,.0f}" for v in values], fontsize=7)
    axis.invert_yaxis()
    if values:
        axis.set_xlim(right=max(values) * 1.15)  # room for the numbers
    axis.tick_params(labelsize=7)
    axis.set_xlabel(label, fontsize=8)
    axis.set_title(f"{case.label}, {case.bytes / 1e6:,.0f} MB", fontsize=9)
