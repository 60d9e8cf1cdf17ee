"""``bench.py quantize``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from bench_lib import options, results
from bench_lib.latency.command import runtime_of
from bench_lib.latency.results import Setting
from bench_lib.latency.rounds import Plan
from bench_lib.quantize import quantisers, render, subjects
from bench_lib.quantize.measuring import Amount, bench_case
from bench_lib.quantize.results import QuantizeReport

DEFAULT = "digits,resnet,mobilenet_v2,inception,unet,bert,minilm"


@click.command("quantize")
@click.option("--models", "names", default=DEFAULT, show_default=True)
@options.size
@click.option(
    "--exporter",
    type=click.Choice(["torchscript", "dynamo"]),
    default="torchscript",
    show_default=True,
    help="For reference models named without one.",
)
@click.option("--tools", help="Comma-separated, all by default, such as ort-default.")
@click.option("--threads", default=2, show_default=True, help="Within an operator; 0: its default.")
@click.option("--samples", default=32, show_default=True, help="To calibrate with.")
@click.option("--eval", "evaluation", default=32, show_default=True, help="To compare on.")
@click.option("--runs", "rounds", default=5, show_default=True, help="Rounds of processes.")
@click.option("--repeat", default=0, help="Runs in each process; by default a second of them.")
@options.limit
@options.output("quantize.json")
@options.png
@options.work_dir
def quantize_command(
    names: str,
    size: str,
    exporter: str,
    tools: str | None,
    threads: int,
    samples: int,
    evaluation: int,
    rounds: int,
    repeat: int,
    limit: float,
    output: Path,
    png: Path | None,
    work_dir: Path | None,
) -> None:
    """Latency, size, accuracy and cost of quantised models: ours, and onnxruntime's at several settings.

    MODELS is a list of digits, minilm, ultraface, silero_vad, and reference models such as resnet:dynamo.
    """
    try:
        wanted = quantisers.chosen(tools)
        selected = subjects.parse(names, size, exporter)
        setting, amount = Setting(1, threads), Amount(samples, evaluation)
        if threads < 0 or min(samples, evaluation) < 1:
            raise ValueError("--threads must be at least 0, --samples and --eval at least 1")
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    about = results.about(["tools/bench.py", *sys.argv[1:]]) | {"runtime": runtime_of("cpu")}
    report = QuantizeReport(about, setting)
    plan = Plan(rounds, repeat, limit)
    for subject in selected:
        with tempfile.TemporaryDirectory(dir=work_dir) as scratch:
            found = bench_case(
                subject,
                wanted,
                amount,
                setting,
                plan,
                work=Path(scratch),
                progress=options.progress,
            )
        report.cases.append(found)
        report.save(output)  # after each model, so that an interrupted run keeps its figures
    render.show(report, options.CONSOLE)
    draw(report, png or output.with_suffix(".png"))


def draw(report: QuantizeReport, path: Path) -> None:
    """Write the picture, or say that matplotlib is missing."""
    from bench_lib.quantize import plot

    with options.picture():
        plot.draw(report, path)
