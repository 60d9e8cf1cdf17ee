"""A benchmark report as a table on the terminal and as Markdown for the README."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from bench_lib.results import CaseResult, Entry, Report, Row

LARGE_BYTES = 100_000_000
HEADERS = (
    "tool",
    "seconds",
    "peak MB",
    "nodes",
    "contrib",
    "MB",
    "result",
    "time ÷ best simplifier",
    "time ÷ onnxruntime",
    "peak ÷ smallest simplifier",
)
NOTE = (
    "Medians, each run in a fresh process, tools interleaved. Nodes: main graph, subgraphs and "
    "functions, without Constant; contrib: nodes outside the standard domain. Result: outputs in "
    "onnxruntime against the original's with optimisations off, error relative to the largest "
    "magnitude. Simplifiers: onnxsim, onnxslim, onnxoptimizer. onnxruntime: its offline save, "
    "extended."
)


def cells(case: CaseResult, row: Row) -> tuple[str, ...]:
    """One line of the table, in the order of :data:`HEADERS`."""
    if row.status != "ok":
        reason = f"{row.status}: {row.reason}" if row.reason else row.status
        return (row.tool, "–", "–", "–", "–", "–", reason, "", "", "")
    floor = row.role == "floor"  # cp's own memory is lost in that of the process that starts it
    return (
        row.tool,
        f"{row.wall:.2f}",
        "–" if floor else f"{row.peak_mb:,.0f}",
        f"{row.nodes:,}",
        f"{row.contrib:,}",
        f"{row.bytes / 1e6:,.1f}",
        verdict(row),
        *_ratios(case, row),
    )


def verdict(row: Entry) -> str:
    """What the comparison with the original said."""
    if row.parity == "same":
        return "exact" if row.error == 0 else f"same ({row.error:.0e})"
    return f"{row.parity}: {row.detail or f'{row.error:.0e}'}"


def _ratios(case: CaseResult, row: Row) -> tuple[str, str, str]:
    if row.role == "floor":
        return "", "", ""
    runtime = case.row("onnxruntime extended")
    return (
        _ratio(row.wall, case.best_of("simplifier", "wall")),
        _ratio(row.wall, runtime.wall if runtime else None),
        _ratio(row.peak_mb, case.best_of("simplifier", "peak_mb")),
    )


def _ratio(value: float, base: float | None) -> str:
    return f"{value / base:.2f}" if base else "–"


def show(report: Report, console: Console) -> None:
    """Print one table per model."""
    for case in report.cases:
        table = Table(title=f"{case.label}: {case.nodes:,} nodes, {case.bytes / 1e6:,.1f} MB")
        for header in HEADERS:
            table.add_column(header, justify="left" if header in ("tool", "result") else "right")
        for row in case.rows:
            table.add_row(*cells(case, row))
        console.print(table)
    for line in summary(report):
        console.print(line)
    console.print(NOTE)


def summary(report: Report) -> Iterator[str]:
    """The worst ratio of ours over the large models, and models with fewer nodes elsewhere."""
    large = [c for c in report.cases if c.bytes > LARGE_BYTES and c.row("onnxopt")]
    if large:
        yield f"Worst of the {len(large)} models over 100 MB, onnxopt without validation:"
        for label, role, key in (
            ("time ÷ fastest simplifier", "simplifier", "wall"),
            ("peak memory ÷ smallest simplifier", "simplifier", "peak_mb"),
        ):
            yield f"  {label}: {_worst(large, role, key)}"
        yield f"  time ÷ onnxruntime's offline save: {_worst_against_runtime(large)}"
        yield f"  peak memory ÷ model size: {_worst_against_size(large)}"
    for case in report.cases:
        yield from _beaten(case)


def _worst(cases: list[CaseResult], role: str, key: str) -> str:
    found = [(getattr(c.row("onnxopt"), key), c.best_of(role, key), c.label) for c in cases]
    ratios = [(value / base, label) for value, base, label in found if base]
    return "{:.2f} ({})".format(*max(ratios)) if ratios else "–"


def _worst_against_runtime(cases: list[CaseResult]) -> str:
    ratios = []
    for case in cases:
        ours, runtime = case.row("onnxopt"), case.row("onnxruntime extended")
        if ours and runtime:
            ratios.append((ours.wall / runtime.wall, case.label))
    return "{:.2f} ({})".format(*max(ratios)) if ratios else "–"


def _worst_against_size(cases: list[CaseResult]) -> str:
    ratios = [(c.row("onnxopt"), c) for c in cases]
    found = [(row.peak_mb * 1e6 / c.bytes, c.label) for row, c in ratios if row]
    return "{:.2f} ({})".format(*max(found)) if found else "–"


def _beaten(case: CaseResult) -> Iterator[str]:
    """Peers that leave fewer nodes than ours, without contrib ops and with the same results."""
    ours = case.row("onnxopt")
    for row in case.rows:
        peer = row.role in ("simplifier", "peer") and row.status == "ok" and row.parity == "same"
        if ours and peer and not row.contrib and row.nodes < ours.nodes:
            yield f"{case.label}: {row.tool} leaves {row.nodes:,} nodes, onnxopt {ours.nodes:,}"


def markdown(report: Report) -> str:
    """The report as Markdown: one table, ours and the peers by model."""
    lines = [
        "| model | tool | seconds | peak MB | nodes | contrib | MB | result |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for case in report.cases:
        head = f"{case.label} ({case.bytes / 1e6:,.0f} MB, {case.nodes:,} nodes)"
        for row in case.rows:
            texts = list(cells(case, row)[:7])
            if row.role == "ours":
                texts[0] = f"**{texts[0]}**"
            lines.append(markdown_line(head, *texts))
            head = ""
    lines += ["", f"{NOTE} {where(report.about)}.", ""]
    lines += [f"- {line.strip()}" for line in summary(report)]
    return "\n".join(lines) + "\n"


def markdown_line(*texts: str) -> str:
    """One line of a Markdown table."""
    return f"| {' | '.join(text.replace('|', chr(92) + '|') for text in texts)} |"


def where(about: dict[str, Any]) -> str:
    """On what a benchmark ran, and when."""
    return f"{about['machine']}; Python {about['python']}; {about['date']}"
