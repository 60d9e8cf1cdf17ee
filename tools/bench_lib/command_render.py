"""``bench.py render``: a kept run again, as Markdown, on the terminal or as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from bench_lib import command_compile, options, results, tables
from bench_lib.latency import command as latency
from bench_lib.latency import render
from bench_lib.latency.results import KIND as LATENCY
from bench_lib.latency.results import LatencyReport
from bench_lib.quantize import command as quantize
from bench_lib.quantize import render as quantize_render
from bench_lib.quantize.calibration_results import KIND as CALIBRATION
from bench_lib.quantize.calibration_results import CalibrationReport
from bench_lib.quantize.results import KIND as QUANTIZE
from bench_lib.quantize.results import QuantizeReport


@click.command("render")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--png", type=click.Path(path_type=Path), help="Draw the picture, too.")
@click.option("--terminal", is_flag=True, help="The wide tables instead of Markdown.")
@click.option("--summary", is_flag=True, help="Of a latency run, without the models' own tables.")
def render_command(source: Path, png: Path | None, terminal: bool, summary: bool) -> None:
    """Markdown tables from the JSON file of a compile, latency, quantize or calibration run."""
    kind = results.kind_of(source)
    if kind == LATENCY:
        _latency(LatencyReport.load(source), png, terminal=terminal, summary=summary)
    elif kind == QUANTIZE:
        _quantize(QuantizeReport.load(source), png, terminal=terminal)
    elif kind == CALIBRATION:
        _quantize(CalibrationReport.load(source), None, terminal=terminal)
    else:
        _compile(results.Report.load(source), png, terminal=terminal)


def _latency(report: LatencyReport, png: Path | None, *, terminal: bool, summary: bool) -> None:
    if terminal:
        render.show(report, options.CONSOLE, summary_only=summary)
    else:
        click.echo(render.markdown(report, summary_only=summary), nl=False)
    if png:
        latency.draw(report, png)


def _quantize(
    report: QuantizeReport | CalibrationReport, png: Path | None, *, terminal: bool
) -> None:
    if terminal:
        quantize_render.show(report, options.CONSOLE)
    else:
        click.echo(quantize_render.markdown(report), nl=False)
    if png and isinstance(report, QuantizeReport):
        quantize.draw(report, png)


def _compile(report: results.Report, png: Path | None, *, terminal: bool) -> None:
    if terminal:
        tables.show(report, options.CONSOLE)
    else:
        click.echo(tables.markdown(report), nl=False)
    if png:
        command_compile.draw(report, png)
