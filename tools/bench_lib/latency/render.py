"""A latency report on the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from bench_lib.latency.grids import TEXTS, Grid, latency_grid, notes, share_grid
from bench_lib.latency.results import LatencyReport
from bench_lib.latency.summary import duels, standing
from bench_lib.tables import markdown_line, where

NOTE = (
    "Each measurement in a fresh process with one session of onnxruntime at its default options; "
    "all tools once in each round, in shuffled order. faster: the original's median latency ÷ this "
    "one's; by min: the same of the fastest run of each process; by cpu: the same of the time on a "
    "core, with one thread. Ratios are medians over rounds of the ratio within a round; original "
    "again shows what noise makes of them. load: making the session, ÷ the original's. outside: "
    "time in kernels other than matrix products, convolutions and attention, ÷ the original's, from "
    "separate profiled processes. result: against the original with onnxruntime's optimisations off."
)
SUMMARY_NOTE = (
    "Geometric means over the models with the same results. best peer ÷ ours: the time of the "
    "fastest other tool of each model ÷ ours; behind a peer: models where that is below 0.98."
)


def show(report: LatencyReport, console: Console, *, summary_only: bool = False) -> None:
    """Print the tables of each model unless ``summary_only``, then the summary."""
    for grid in _grids(report, summary_only=summary_only):
        console.print(table_of(grid))
    for line in _texts(report):
        console.print(line)


def markdown(report: LatencyReport, *, summary_only: bool = False) -> str:
    """The report as Markdown; ``summary_only`` leaves out the tables of each model."""
    lines: list[str] = []
    for grid in _grids(report, summary_only=summary_only):
        lines += markdown_of(grid)
    for text in _texts(report):
        lines += [text, ""]
    return "\n".join(lines[:-1]) + "\n"


def _grids(report: LatencyReport, *, summary_only: bool) -> Iterator[Grid]:
    for case in () if summary_only else report.cases:
        grids = (latency_grid(case, report.settings), share_grid(case, report.settings))
        yield from (grid for grid in grids if grid.rows)
    yield from (grid for grid in (standing(report), duels(report)) if grid.rows)


def _texts(report: LatencyReport) -> Iterator[str]:
    yield from notes(report)
    yield NOTE
    yield SUMMARY_NOTE
    about = report.about
    rows = (row for case in report.cases for row in case.rows if row.version)
    versions = dict.fromkeys(f"{row.tool.split()[0]} {row.version}" for row in rows)
    yield f"{where(about)}; {about['runtime']}; {', '.join(versions)}."


def markdown_of(grid: Grid) -> list[str]:
    """A grid's lines in Markdown, its title and an empty line at the end included."""
    lines = [f"**{grid.title}**", "", markdown_line(*grid.headers), _rule(grid)]
    return [*lines, *(_marked(grid, index) for index in range(len(grid.rows))), ""]


def table_of(grid: Grid) -> Table:
    """A grid for the terminal."""
    table = Table(title=grid.title)
    for header in grid.headers:
        table.add_column(header, justify="left" if header in TEXTS else "right")
    for index, row in enumerate(grid.rows):
        if index in grid.breaks:
            table.add_section()
        table.add_row(*row, style="bold" if index in grid.ours else None)
    return table


def _rule(grid: Grid) -> str:
    return f"|{'|'.join('---' if header in TEXTS else '---:' for header in grid.headers)}|"


def _marked(grid: Grid, index: int) -> str:
    texts = list(grid.rows[index])
    if index in grid.ours:
        texts[1] = f"**{texts[1]}**"
    return markdown_line(*texts)
