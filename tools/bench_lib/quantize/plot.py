"""The picture of a quantisation run: latency relative to our optimised float model, and SNR, of each tool on each model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench_lib.quantize.results import QuantizeCase, QuantizeReport, QuantizeRow, faster

COLOURS = {
    "ours": "#c1272d",
    "setting": "#8fb3d9",
    "default": "#3b6ea5",
    "float": "#e8a5a7",
    "original": "#b5b5b5",
    "control": "#d9d9d9",
}


def draw(report: QuantizeReport, path: Path) -> None:
    """Write a PNG: a row of axes for each model, latency on the left and SNR on the right.

    Raises:
        ImportError: matplotlib is not installed.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    cases = [case for case in report.cases if case.rows]
    count = max(len(cases), 1)
    figure, axes = pyplot.subplots(count, 2, figsize=(11, 2.6 * count), squeeze=False)
    for (left, right), case in zip(axes, cases, strict=False):
        _latency(left, case, report.setting.label)
        _closeness(right, case)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _latency(axis: Any, case: QuantizeCase, setting: str) -> None:
    base = case.of_role("float") or case.of_role("original")
    found = [faster(base, row) for row in case.rows]
    labels = [f"{value:.2f}" if value else "did not run" for value in found]
    _bars(axis, case.rows, [value or 0.0 for value in found], labels)
    axis.axvline(1.0, color="black", linewidth=0.7, linestyle=":")
    axis.set_xlabel("median latency ÷ our optimised float model's", fontsize=7)
    axis.set_title(f"{case.label}, {setting}", fontsize=8)


def _closeness(axis: Any, case: QuantizeCase) -> None:
    rows = [r for r in case.rows if r.role in ("default", "setting", "ours") and r.quality]
    values = [max(row.snr, 0.0) if row.quality["snr_db"] is not None else 0.0 for row in rows]
    labels = ["exact" if r.quality["snr_db"] is None else f"{r.snr:.1f}" for r in rows]
    _bars(axis, rows, values, labels)
    axis.set_xlabel("SNR in dB against the original: more is closer", fontsize=7)
    axis.set_title(f"{case.label}: accuracy", fontsize=8)


def _bars(axis: Any, rows: list[QuantizeRow], values: list[float], labels: list[str]) -> None:
    colours = [COLOURS[row.role] for row in rows]
    bars = axis.barh([row.tool for row in rows], values, color=colours)
    axis.bar_label(bars, labels, fontsize=7, padding=2)
    axis.invert_yaxis()
    axis.set_xlim(0, max([1.0, *values]) * 1.25)  # room for the numbers
    axis.tick_params(labelsize=7)
