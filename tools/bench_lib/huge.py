"""Peak memory on a model of many gigabytes with external data, which is written as a stream."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench_lib.contenders import Contender
from bench_lib.measure import python, run, settle
from bench_lib.outputs import CHECK_LIMIT, Progress, count

LAYER_BYTES = 4096 * 4096 * 4  # see huge_model.py, which this process must not import: it is large


@dataclass(frozen=True)
class HugeResult:
    """What one tool did with the huge model; see :class:`bench_lib.measure.Outcome`."""

    tool: str
    model_mb: float
    seconds: float
    peak_mb: float
    failure: str
    nodes_before: int = 0
    nodes_after: int = 0
    output_mb: float = 0.0
    parity: str = "not checked"

    def json(self) -> dict[str, object]:
        """The result as plain data."""
        return asdict(self)


def bench_huge(
    contender: Contender,
    gigabytes: float,
    *,
    limit: float,
    work: Path,
    verify: bool,
    progress: Progress,
) -> HugeResult:
    """Generate the model, optimise it once, and delete both.

    Args:
        contender: The tool.
        gigabytes: Size of the weights, in 10^9 bytes; twice that must be free on the disk.
        limit: Seconds the tool may take.
        work: Folder for the model and the output.
        verify: Run the original and the output and compare; takes as much memory as the model.
        progress: Receives a line about each step.

    Raises:
        RuntimeError: The disk has no room, or the model cannot be generated.
    """
    progress(f"write a model of {gigabytes:g} GB")
    source, target = _generate(gigabytes, limit, work)
    before = count(source, work)
    progress(f"{contender.name}: optimise it")
    settle(source)
    outcome = run(contender.command(source, target), limit=limit, log=work / "tool.log")
    megabytes = before["bytes"] / 1e6
    facts = (contender.name, megabytes, outcome.seconds, outcome.peak_mb, outcome.failure)
    if not outcome.ok:
        return HugeResult(*facts)
    try:
        after = count(target, work)
    except RuntimeError as error:  # an output that cannot be parsed, or lacks its external data
        return replace(HugeResult(*facts), failure=str(error))
    done = HugeResult(*facts, before["nodes"], after["nodes"], after["bytes"] / 1e6)
    if not verify:
        return done
    progress(f"{contender.name}: compare with the original")
    return replace(done, parity=_compare(source, target, work))


def _generate(gigabytes: float, limit: float, work: Path) -> tuple[Path, Path]:
    """Write the model; its path, and the path for the output."""
    needed = 2.2 * gigabytes * 1e9
    if shutil.disk_usage(work).free < needed:
        raise RuntimeError(f"{work} has less than the {needed / 1e9:.0f} GB this needs")
    source, target = work / "in" / "model.onnx", work / "out" / "model.onnx"
    for path in (source, target):
        path.parent.mkdir()
    layers = math.ceil(gigabytes * 1e9 / LAYER_BYTES)
    made = run(python("bench_lib.huge_model", source, str(layers)), limit=limit, log=work / "log")
    if not made.ok:
        raise RuntimeError(f"the model cannot be generated: {made.failure}")
    return source, target


def _compare(source: Path, target: Path, work: Path) -> str:
    answer = work / "check.json"
    command = python("bench_lib.huge_check", source, target, answer)
    outcome = run(command, limit=CHECK_LIMIT, log=work / "check.log")
    if not outcome.ok:
        return f"does not run: {outcome.failure}"
    found = json.loads(answer.read_text())
    return f"{'same' if found['ok'] else 'differs'} ({found['error']:.0e})"
