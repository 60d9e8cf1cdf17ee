"""The figures of a quantisation run as tables of text."""

from __future__ import annotations

from collections.abc import Iterator

from bench_lib.latency.grids import NONE, Grid, milliseconds, ratio
from bench_lib.latency.ratios import geomean
from bench_lib.quantize.results import QuantizeCase, QuantizeReport, QuantizeRow, faster

HEADERS = (
    "model",
    "tool",
    "ms",
    "× float",
    "× original",
    "MB",
    "seconds",
    "peak MB",
    "SNR dB",
    "cosine",
    "top-1 %",
    "measures",
    "left in float",
    "note",
)
SUMMARY_HEADERS = (
    "model",
    "best setting",
    "× float",
    "× original",
    "× ort default",
    "× best",
    "SNR − best",
    "× float: best",
    "size ÷ original",
)
_SHOWN = 4


def case_grid(case: QuantizeCase) -> Grid:
    """Every tool on one model."""
    samples = "calibrated with {}, accuracy on {} others".format(*case.samples)
    grid = Grid(
        f"{case.label}: {case.nodes:,} nodes, {case.bytes / 1e6:,.1f} MB, {samples}", HEADERS
    )
    for row in case.rows:
        name = f"{row.tool} (best)" if row.best else row.tool
        grid.add(case.label, name, *_cells(case, row), ours=row.role == "ours")
    return grid


def summary_grid(report: QuantizeReport) -> Grid:
    """Ours on each model, beside onnxruntime at its defaults and at its best; then geometric means."""
    grid = Grid("onnxopt quantize: how many times as fast, and how close", SUMMARY_HEADERS)
    columns: list[list[float | None]] = []
    for case in report.cases:
        ours, best = case.of_role("ours"), case.best
        if ours is None:
            continue
        speeds = [faster(ours, other) for other in _others(case)]
        rest = faster(best, case.of_role("float"))
        columns.append([*speeds, rest])
        gain = _decibels(ours.snr - best.snr) if best else NONE
        texts = [*map(ratio, speeds), gain, ratio(rest), ratio(ours.bytes / case.bytes)]
        grid.add(case.label, best.tool if best else NONE, *texts)
    if len(columns) > 1:
        means = [geomean([v for v in c if v]) for c in zip(*columns, strict=True)]
        grid.add("geometric mean", "", *map(ratio, means[:4]), "", ratio(means[4]), "")
    return grid


def notes(report: QuantizeReport) -> Iterator[str]:
    """Models without rows, and a machine that was not idle."""
    busy = max((case.busy for case in report.cases), default=0.0)
    if busy > report.setting.threads + 1:
        yield f"The machine was not idle: load average up to {busy:.1f}."
    yield from (f"{case.label}: {case.failure}" for case in report.cases if case.failure)


def _others(case: QuantizeCase) -> tuple[QuantizeRow | None, ...]:
    roles = (case.of_role("float"), case.of_role("original"), case.of_role("default"))
    return (*roles, case.best)


def _cells(case: QuantizeCase, row: QuantizeRow) -> tuple[str, ...]:
    if row.status != "ok":
        blank = [NONE] * (len(HEADERS) - 3)
        blank[4:6] = _cost(row)
        return (*blank, f"{row.status}: {row.reason}" if row.reason else row.status)
    timing = next((t for t in row.timings if t.ok), None)
    failures = "; ".join(t.failure for t in row.timings if t.failure)
    return (
        milliseconds(timing.figure("median_ms") if timing else None),
        ratio(faster(row, case.of_role("float"))),
        ratio(faster(row, case.of_role("original"))),
        f"{row.bytes / 1e6:,.1f}",
        *_cost(row),
        *_accuracy(row),
        ", ".join(f"{name} {value:.4g}" for name, value in row.measures.items()) or NONE,
        _left(row),
        "; ".join(text for text in (row.note, failures) if text),
    )


def _cost(row: QuantizeRow) -> list[str]:
    known = row.seconds > 0
    return [f"{row.seconds:.1f}", f"{row.peak_mb:,.0f}"] if known else [NONE, NONE]


def _accuracy(row: QuantizeRow) -> tuple[str, str, str]:
    if not row.quality:
        return NONE, NONE, NONE
    top1, cosine = row.quality["top1"], row.quality["cosine"]
    return (
        _decibels(row.snr),
        NONE if cosine is None else f"{cosine:.5f}",
        NONE if top1 is None else f"{100 * top1:.1f}",
    )


def _left(row: QuantizeRow) -> str:
    """Float operators of a quantised model; of a float one they would all be listed."""
    total = sum(row.float_ops.values())
    if row.role not in ("default", "setting", "ours"):
        return f"{total} (all)"
    shown = [f"{op} {number}" for op, number in list(row.float_ops.items())[:_SHOWN]]
    more = "…" if len(row.float_ops) > _SHOWN else ""
    return f"{total}: {', '.join(shown)}{more}" if total else "0"


def _decibels(value: float) -> str:
    if value != value:
        return "both exact"
    return "exact" if value == float("inf") else f"{value:.1f}"
