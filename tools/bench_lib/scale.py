"""How a tool's time grows with the number of nodes: the same blocks, ten times as many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from bench_lib.contenders import Contender
from bench_lib.measure import python, run, settle
from bench_lib.outputs import CHECK_LIMIT, Progress, count


@dataclass
class ScalePoint:
    """One tool on one graph of blocks.

    Attributes:
        tool: Name of the contender.
        nodes: Nodes of the graph, ``Constant`` not counted.
        left: Nodes left.
        seconds: Wall time of each run.
        peak_mb: Largest peak resident set, in MB.
        failure: Why it did not succeed.
    """

    tool: str
    nodes: int
    left: int = 0
    seconds: list[float] = field(default_factory=list)
    peak_mb: float = 0.0
    failure: str = ""

    def json(self) -> dict[str, object]:
        """The point as plain data."""
        return asdict(self)


def bench_scale(
    contenders: Sequence[Contender],
    sizes: Sequence[int],
    *,
    runs: int,
    limit: float,
    work: Path,
    progress: Progress,
) -> list[ScalePoint]:
    """Time each tool on a graph of each size; rounds are interleaved over tools and sizes.

    Args:
        contenders: The tools.
        sizes: Numbers of nodes.
        runs: How many rounds.
        limit: Seconds a tool may take in a run; one that fails is not run again on that size.
        work: Folder for models and outputs.
        progress: Receives a line about each step.
    """
    sources = {size: _generate(size, work) for size in sizes}
    points = [
        (c, sources[size], ScalePoint(c.name, count(sources[size], work)["nodes"]))
        for size in sizes
        for c in contenders
    ]
    target = work / "scaled.onnx"
    for number in range(runs):
        for contender, source, point in points:
            if point.failure:
                continue
            progress(f"{contender.name}: {point.nodes:,} nodes, run {number + 1} of {runs}")
            target.unlink(missing_ok=True)
            settle(source)
            done = run(contender.command(source, target), limit=limit, log=work / "tool.log")
            point.failure = done.failure
            if done.ok:
                point.seconds.append(round(done.seconds, 3))
                point.peak_mb = max(point.peak_mb, round(done.peak_mb, 1))
                point.left = count(target, work)["nodes"]
    return [point for _, _, point in points]


def growth(points: Sequence[ScalePoint], tool: str) -> float | None:
    """Time on the largest graph over time on the smallest, if the tool finished both."""
    timed = [p for p in points if p.tool == tool and p.seconds and not p.failure]
    if len(timed) < 2:
        return None
    ordered = sorted(timed, key=lambda p: p.nodes)
    return median(ordered[-1].seconds) / median(ordered[0].seconds)


def _generate(size: int, work: Path) -> Path:
    path = work / f"blocks_{size}.onnx"
    outcome = run(
        python("bench_lib.blocks", str(size), path), limit=CHECK_LIMIT, log=work / "make.log"
    )
    if not outcome.ok:
        raise RuntimeError(f"a graph of {size} nodes cannot be generated: {outcome.failure}")
    return path
