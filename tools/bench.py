"""Benchmarks of onnxopt against its peers. ``python tools/bench.py --help`` lists them."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click
from bench_lib import cases, compiling, contenders, results, tables
from rich.console import Console

CONSOLE = Console(width=None if sys.stdout.isatty() else 190)
SIZE = click.Choice(["tiny", "small", "full"])


def _progress(text: str) -> None:
    click.echo(text, err=True)


@click.group()
def main() -> None:
    """Measure onnxopt and its peers, each in a fresh process."""


@main.command("compile")
@click.option("--models", "names", default=cases.DEFAULT_CASES, show_default=True)
@click.option("--size", type=SIZE, default="full", show_default=True)
@click.option("--exporter", default="both", help="For models named without one.")
@click.option("--tools", help="Comma-separated; all by default. onnxopt+validated is one of them.")
@click.option("--runs", default=3, show_default=True, help="Rounds; medians are reported.")
@click.option("--limit", default=600.0, show_default=True, help="Seconds a tool may take in a run.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("bench.json"))
@click.option("--png", type=click.Path(path_type=Path), help="Picture; beside OUTPUT by default.")
@click.option("--work-dir", type=click.Path(path_type=Path), help="Where outputs go meanwhile.")
def compile_command(
    names: str,
    size: str,
    exporter: str,
    tools: str | None,
    runs: int,
    limit: float,
    output: Path,
    png: Path | None,
    work_dir: Path | None,
) -> None:
    """Wall time, peak memory, nodes left, output size and parity on the reference models.

    MODELS is a list such as bert,gpt:dynamo,resnet:torchscript:raw, where raw switches the
    exporter's own optimisations off.
    """
    try:
        wanted, selected = contenders.chosen(tools), cases.parse(names, size, exporter)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    report = results.Report(results.about(["tools/bench.py", *sys.argv[1:]]))
    with tempfile.TemporaryDirectory(dir=work_dir) as scratch:
        for case in selected:
            report.cases.append(
                compiling.bench_case(
                    case,
                    wanted,
                    runs=runs,
                    limit=limit,
                    work=Path(scratch),
                    progress=_progress,
                )
            )
            report.save(output)  # after each model, so that an interrupted run keeps its figures
    tables.show(report, CONSOLE)
    _draw(report, png or output.with_suffix(".png"))


@main.command("render")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--png", type=click.Path(path_type=Path), help="Draw the picture, too.")
@click.option("--terminal", is_flag=True, help="The wide table instead of Markdown.")
def render_command(source: Path, png: Path | None, terminal: bool) -> None:
    """The README's Markdown table from the JSON file of a run."""
    report = results.Report.load(source)
    if terminal:
        tables.show(report, CONSOLE)
    else:
        click.echo(tables.markdown(report), nl=False)
    if png:
        _draw(report, png)


def _draw(report: results.Report, path: Path) -> None:
    try:
        from bench_lib.plot import draw

        draw(report, path)
    except ImportError:
        click.echo("no picture: matplotlib is missing (pip install 'onnxopt[bench]')", err=True)


if __name__ == "__main__":
    main()
