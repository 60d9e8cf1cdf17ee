"""``bench.py latency``."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from bench_lib import cases, contenders, options, results
from bench_lib.latency import contend, render
from bench_lib.latency.measuring import bench_case
from bench_lib.latency.results import LatencyReport, Setting
from bench_lib.latency.rounds import Plan
from bench_lib.measure import python, run
from bench_lib.sessions import PROVIDERS

PROBE_LIMIT = 120.0


@click.command("latency")
@click.option("--models", "names", default=cases.DEFAULT_CASES, show_default=True)
@options.size
@options.exporter
@click.option("--tools", help="Comma-separated, all by default; the original always takes part.")
@click.option("--batch", default="1,8", show_default=True, help="Batch sizes.")
@click.option(
    "--threads",
    default="1,2",
    show_default=True,
    help="Threads within an operator; 0: its default.",
)
@click.option("--provider", type=click.Choice(list(PROVIDERS)), default="cpu", show_default=True)
@click.option("--spinning/--no-spinning", default=True, help="Whether idle threads spin.")
@click.option("--runs", "rounds", default=5, show_default=True, help="Rounds of processes.")
@click.option("--repeat", default=0, help="Runs in each process; by default a second of them.")
@options.limit
@options.output("latency.json")
@options.png
@options.work_dir
def latency_command(
    names: str,
    size: str,
    exporter: str,
    tools: str | None,
    batch: str,
    threads: str,
    provider: str,
    spinning: bool,
    rounds: int,
    repeat: int,
    limit: float,
    output: Path,
    png: Path | None,
    work_dir: Path | None,
) -> None:
    """How fast onnxruntime, at its default options, runs and loads what each tool makes of a model.

    MODELS is a list such as bert,gpt:dynamo,resnet:torchscript:raw.
    """
    try:
        wanted, selected = _tools(tools, provider), cases.parse(names, size, exporter)
        settings = [Setting(b, t) for b in _numbers(batch) for t in _numbers(threads, least=0)]
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    about = results.about(["tools/bench.py", *sys.argv[1:]]) | {"runtime": runtime_of(provider)}
    report = LatencyReport(about, settings)
    plan = Plan(rounds, repeat, limit, provider, spinning)
    for case in selected:
        with tempfile.TemporaryDirectory(dir=work_dir) as scratch:
            progress, work = options.progress, Path(scratch)
            found = bench_case(case, wanted, settings, plan, work=work, progress=progress)
        report.cases.append(found)
        report.save(output)  # after each model, so that an interrupted run keeps its figures
    render.show(report, options.CONSOLE)
    draw(report, png or output.with_suffix(".png"))


def draw(report: LatencyReport, path: Path) -> None:
    """Write the picture, or say that matplotlib is missing."""
    from bench_lib.latency import plot

    with options.picture():
        plot.draw(report, path)


def _tools(names: str | None, provider: str) -> Sequence[contenders.Contender]:
    original, *others = contend.contenders(provider)
    chosen = contenders.chosen(names, (original, *others))
    return [original, *(c for c in chosen if c != original)]


def _numbers(text: str, least: int = 1) -> list[int]:
    found = [int(item) for item in text.split(",")]
    if min(found) < least:
        raise ValueError(f"{text!r}: each must be at least {least}")
    return found


def runtime_of(provider: str) -> str:
    """Which onnxruntime runs on the provider, or one line that says why none does."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.txt"
        command = python("bench_lib.latency.probe", provider, answer)
        outcome = run(command, limit=PROBE_LIMIT, log=Path(folder) / "probe.log")
        if not outcome.ok:
            raise click.ClickException(outcome.failure)
        return answer.read_text()
