"""``bench.py scale``, ``bench.py huge`` and ``bench.py peers-on-ours``."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import click
from rich.table import Table

from bench_lib import cases, contenders, options, residue, results
from bench_lib.huge import HugeResult, bench_huge
from bench_lib.scale import ScalePoint, bench_scale, growth


@click.command("scale")
@click.option("--nodes", default="10000,100000", show_default=True, help="Sizes of the graphs.")
@click.option("--tools", default="onnxopt", show_default=True)
@options.runs
@options.limit
@options.output("scale.json")
@options.work_dir
def scale_command(
    nodes: str, tools: str, runs: int, limit: float, output: Path, work_dir: Path | None
) -> None:
    """Time on graphs of 10,000 and 100,000 nodes of the same blocks."""
    wanted = _tools(tools)
    with tempfile.TemporaryDirectory(dir=work_dir) as scratch:
        points = bench_scale(
            wanted,
            [int(size) for size in nodes.split(",")],
            runs=runs,
            limit=limit,
            work=Path(scratch),
            progress=options.progress,
        )
    grown = {c.name: growth(points, c.name) for c in wanted}
    _save(output, {"points": [p.json() for p in points], "growth": grown})
    _show_scale(points)
    for name, ratio in grown.items():
        text = f"{ratio:.1f}" if ratio else "–"
        options.CONSOLE.print(f"{name}: largest ÷ smallest graph in time: {text}")


def _show_scale(points: Sequence[ScalePoint]) -> None:
    table = Table("tool", "nodes", "nodes left", "seconds", "peak MB", "failure")
    for point in points:
        seconds = f"{median(point.seconds):.2f}" if point.seconds else "–"
        numbers = (f"{point.nodes:,}", f"{point.left:,}", seconds, f"{point.peak_mb:,.0f}")
        table.add_row(point.tool, *numbers, point.failure)
    options.CONSOLE.print(table)


@click.command("huge")
@click.option("--gigabytes", default=8.0, show_default=True, help="Size of the weights.")
@click.option("--tools", default="onnxopt", show_default=True)
@click.option("--check/--no-check", "verify", default=True, help="Compare with the original.")
@options.limit
@options.output("huge.json")
@options.work_dir
def huge_command(
    gigabytes: float,
    tools: str,
    verify: bool,
    limit: float,
    output: Path,
    work_dir: Path | None,
) -> None:
    """Peak memory on a model of 8 GB with external data.

    Needs 18 GB of disk for a while, and for the comparison as much memory as the model has bytes.
    """
    found: list[HugeResult] = []
    for contender in _tools(tools):
        with tempfile.TemporaryDirectory(dir=work_dir) as scratch:
            try:
                found.append(
                    bench_huge(
                        contender,
                        gigabytes,
                        limit=limit,
                        work=Path(scratch),
                        verify=verify,
                        progress=options.progress,
                    )
                )
            except RuntimeError as error:
                raise click.ClickException(str(error)) from error
    _save(output, {"results": [r.json() for r in found]})
    table = Table("tool", "model MB", "seconds", "peak MB", "nodes", "output MB", "result")
    for r in found:
        sizes = (f"{r.model_mb:,.0f}", f"{r.seconds:.1f}", f"{r.peak_mb:,.0f}")
        nodes = f"{r.nodes_before:,} → {r.nodes_after:,}"
        table.add_row(r.tool, *sizes, nodes, f"{r.output_mb:,.0f}", r.failure or r.parity)
    options.CONSOLE.print(table)


@click.command("peers-on-ours")
@click.option("--models", "names", default=cases.DEFAULT_CASES, show_default=True)
@options.size
@options.exporter
@click.option(
    "--tools",
    default="onnxsim,onnxslim,onnxoptimizer,onnxscript,onnxruntime-basic",
    show_default=True,
    help="Peers that write standard ops.",
)
@options.limit
@options.output("peers-on-ours.json")
@options.work_dir
def residue_command(
    names: str,
    size: str,
    exporter: str,
    tools: str,
    limit: float,
    output: Path,
    work_dir: Path | None,
) -> None:
    """What each peer still removes from a model that onnxopt has optimised."""
    peers = _tools(tools)
    try:
        selected = cases.parse(names, size, exporter)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    found: list[residue.Residue] = []
    for case in selected:
        with tempfile.TemporaryDirectory(dir=work_dir) as scratch:
            try:
                found += residue.bench_residue(
                    case, peers, limit=limit, work=Path(scratch), progress=options.progress
                )
            except RuntimeError as error:
                options.progress(f"{case.label}: {error}")
        _save(output, {"findings": [r.json() for r in found]})
    _show_residue(found)


def _show_residue(found: Sequence[residue.Residue]) -> None:
    headers = ("model", "peer", "ours", "peer alone", "peer on ours", "removes", "what", "result")
    table = Table(*headers, title="Nodes of standard ops, without Constant")
    for r in found:
        if r.failure:
            table.add_row(r.case, r.peer, str(r.ours), "", "", "", r.failure, "")
            continue
        what = [f"−{n} {op}" for op, n in r.removed.items()]
        what += [f"+{n} {op}" for op, n in r.added.items()]
        alone = f"{r.theirs:,}" if r.theirs >= 0 else "failed"
        counts = (f"{r.ours:,}", alone, f"{r.both:,}", f"{r.share:.1%}")
        table.add_row(r.case, r.peer, *counts, ", ".join(what), r.parity)
    options.CONSOLE.print(table)


def _tools(names: str) -> list[contenders.Contender]:
    try:
        return contenders.chosen(names)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _save(path: Path, found: dict[str, object]) -> None:
    about = results.about(["tools/bench.py", *sys.argv[1:]])
    path.write_text(json.dumps({"about": about, **found}, indent=1) + "\n")
