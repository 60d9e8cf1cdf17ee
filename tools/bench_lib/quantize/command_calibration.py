"""``bench.py calibration``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from bench_lib import options, results
from bench_lib.latency.command import runtime_of
from bench_lib.quantize import growth, render, subjects
from bench_lib.quantize.calibration_results import CalibrationReport


@click.command("calibration")
@click.option("--models", "names", default="mobilenet_v2", show_default=True)
@options.size
@click.option(
    "--exporter",
    type=click.Choice(["torchscript", "dynamo"]),
    default="torchscript",
    show_default=True,
    help="For reference models named without one.",
)
@click.option("--samples", default="8,32,128,512", show_default=True, help="Numbers of samples.")
@click.option("--methods", help="Such as minmax,entropy,Percentile; all by default.")
@options.limit
@options.output("calibration.json")
@options.work_dir
def calibration_command(
    names: str,
    size: str,
    exporter: str,
    samples: str,
    methods: str | None,
    limit: float,
    output: Path,
    work_dir: Path | None,
) -> None:
    """Memory and time of calibration by the number of samples: every method, beside onnxruntime's and plain inference.

    onnxruntime's stop at 128 samples.
    """
    try:
        selected = subjects.parse(names, size, exporter)
        counts = sorted({int(text) for text in samples.split(",")})
        ways = _ways(methods)
        if counts[0] < 1:
            raise ValueError("--samples must be at least 1")
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    about = results.about(["tools/bench.py", *sys.argv[1:]]) | {"runtime": runtime_of("cpu")}
    report = CalibrationReport(about, counts)
    for subject in selected:
        with tempfile.TemporaryDirectory(dir=work_dir) as scratch:
            work, progress = Path(scratch), options.progress
            found = growth.bench_growth(
                subject, counts, limit=limit, work=work, progress=progress, ways=ways
            )
        report.cases.append(found)
        report.save(output)  # after each model, so that an interrupted run keeps its figures
    render.show(report, options.CONSOLE)


def _ways(methods: str | None) -> list[tuple[str, str]]:
    """Plain inference, and the methods named."""
    known = {method: (tool, method) for tool, method in growth.WAYS[1:]}
    wanted = [m.strip() for m in methods.split(",")] if methods else list(known)
    unknown = [method for method in wanted if method not in known]
    if unknown:
        raise ValueError(f"no method {unknown[0]!r}; there are {', '.join(known)}")
    return [growth.WAYS[0], *(known[method] for method in wanted)]
