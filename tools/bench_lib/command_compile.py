"""``bench.py compile``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from bench_lib import cases, compiling, contenders, options, results, tables


@click.command("compile")
@click.option("--models", "names", default=cases.DEFAULT_CASES, show_default=True)
@options.size
@options.exporter
@click.option("--tools", help="Comma-separated, all by default; such as onnxopt,onnxsim,cp.")
@options.runs
@options.limit
@options.output("bench.json")
@options.png
@options.work_dir
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
    for case in selected:
        with tempfile.TemporaryDirectory(dir=work_dir) as scratch:
            found = compiling.bench_case(
                case,
                wanted,
                runs=runs,
                limit=limit,
                work=Path(scratch),
                progress=options.progress,
            )
        report.cases.append(found)
        report.save(output)  # after each model, so that an interrupted run keeps its figures
    tables.show(report, options.CONSOLE)
    draw(report, png or output.with_suffix(".png"))


def draw(report: results.Report, path: Path) -> None:
    """Write the picture, or say that matplotlib is missing."""
    from bench_lib import plot

    with options.picture():
        plot.draw(report, path)
