"""A quantisation report, and one of the calibration's growth, on the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Console

from bench_lib.latency.grids import Grid
from bench_lib.latency.render import markdown_of, table_of
from bench_lib.quantize.calibration_results import CalibrationReport, calibration_grids
from bench_lib.quantize.grids import case_grid, notes, summary_grid
from bench_lib.quantize.results import QuantizeReport
from bench_lib.tables import where

NOTE = (
    "ms: median latency at {setting}, each measurement in a fresh process with one session, all tools once in each round in "
    "shuffled order. × float, × original: how many times as fast as our optimised float model and as the original, medians "
    "over rounds of the ratio within a round; original again shows what noise makes of them. seconds and peak MB: the whole "
    "command that quantises in a fresh process, the largest of its processes. SNR, cosine (mean) and top-1 agreement: against "
    "the original with onnxruntime's optimisations off, the worst output, on samples that calibration did not read. Left in "
    "float: operators in the graph that onnxruntime saves. best: the most accurate of onnxruntime's settings within 5 % of the "
    "fastest."
)
CALIBRATION_NOTE = (
    "peak MB: high-water mark of the process that observes, without its parent. seconds: from samples on disk to scales. plain: a "
    "fresh process that runs the same optimised float model over the same samples, session included. ÷ plain: whole against "
    "whole; marginal ÷ plain: seconds for each further sample, between the first and the last count. ÷ first: peak MB at the "
    "last count ÷ at the first."
)


def show(report: QuantizeReport | CalibrationReport, console: Console) -> None:
    """Print the tables."""
    for grid in _grids(report):
        console.print(table_of(grid))
    for text in _texts(report):
        console.print(text)


def markdown(report: QuantizeReport | CalibrationReport) -> str:
    """The report as Markdown."""
    lines = [line for grid in _grids(report) for line in markdown_of(grid)]
    for text in _texts(report):
        lines += [text, ""]
    return "\n".join(lines[:-1]) + "\n"


def _grids(report: QuantizeReport | CalibrationReport) -> Iterable[Grid]:
    if isinstance(report, CalibrationReport):
        return calibration_grids(report)
    found = [case_grid(case) for case in report.cases if case.rows]
    return [grid for grid in (*found, summary_grid(report)) if grid.rows]


def _texts(report: QuantizeReport | CalibrationReport) -> Iterator[str]:
    if isinstance(report, CalibrationReport):
        yield from (f"{case.label}: {case.failure}" for case in report.cases if case.failure)
        yield CALIBRATION_NOTE
    else:
        yield from notes(report)
        yield NOTE.format(setting=report.setting.label)
    yield f"{where(report.about)}; {report.about['runtime']}."
    yield f"Command: {report.about['command']}"
