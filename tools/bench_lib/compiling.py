"""Run every tool on one model: timed runs interleaved, then each output counted and checked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench_lib.cases import Case, ensure
from bench_lib.contenders import Contender
from bench_lib.measure import python, run, settle
from bench_lib.results import CaseResult, Row

Progress = Callable[[str], None]
CHECK_LIMIT = 600.0


def bench_case(
    case: Case,
    contenders: Sequence[Contender],
    *,
    runs: int,
    limit: float,
    work: Path,
    progress: Progress,
) -> CaseResult:
    """Measure ``contenders`` on ``case``.

    Args:
        case: The model.
        contenders: The tools; in each round all run once, in this order.
        runs: How many rounds.
        limit: Seconds a tool may take in one run; one that fails is not run again.
        work: Folder for outputs, emptied of them at the end.
        progress: Receives a line about each step.

    Returns:
        One row per contender, also for those that failed or are not installed.
    """
    progress(f"{case.label}: export")
    source = ensure(case, work)
    original = count(source, work)
    result = CaseResult(case.label, original["nodes"], original["contrib"], original["bytes"])
    result.rows = [_blank(c) for c in contenders]
    pairs = list(zip(contenders, result.rows, strict=True))
    for number in range(runs):
        for contender, row in pairs:
            if row.status == "ok":
                progress(f"{case.label}: {contender.name}, run {number + 1} of {runs}")
                _timed_run(contender, row, source, limit, work)
    progress(f"{case.label}: reference outputs")
    reference = make_reference(case, source, work)
    for contender, row in pairs:
        if row.status == "ok":
            progress(f"{case.label}: check {contender.name}")
            _inspect(row, output_of(contender, work), reference, work)
    for contender in contenders:
        shutil.rmtree(output_of(contender, work).parent, ignore_errors=True)
    return result


def output_of(contender: Contender, work: Path) -> Path:
    """Where a contender writes: a folder of its own, because external data lies beside the model."""
    return work / contender.name.replace(" ", "-").replace(",", "") / "out.onnx"


def count(model: Path, work: Path) -> dict[str, Any]:
    """The :class:`bench_lib.facts.Facts` of a model, found in a child."""
    answer = work / "facts.json"
    _child(python("bench_lib.facts", model, answer), work)
    found: dict[str, Any] = json.loads(answer.read_text())
    return found


def make_reference(case: Case, source: Path, work: Path) -> Path:
    """File of the original's inputs and outputs, computed in a child."""
    target = work / "reference.npz"
    _child(python("bench_lib.parity", "reference", *case.arguments(), source, target), work)
    return target


def check(model: Path, reference: Path, work: Path) -> tuple[str, float, str]:
    """Parity, relative error and detail of an optimised model; see :class:`Row`."""
    answer = work / "parity.json"
    command = python("bench_lib.parity", "compare", reference, model, answer)
    outcome = run(command, limit=CHECK_LIMIT, log=work / "parity.log")
    if not outcome.ok:
        return "does not run", 0.0, outcome.failure
    found = json.loads(answer.read_text())
    return "same" if found["ok"] else "differs", found["error"], found["detail"]


def _child(command: Sequence[str], work: Path) -> None:
    outcome = run(command, limit=CHECK_LIMIT, log=work / "child.log")
    if not outcome.ok:
        raise RuntimeError(f"{' '.join(command[2:4])} failed: {outcome.failure}")


def _blank(contender: Contender) -> Row:
    version = contender.version()
    if version is None:
        return Row(contender.name, contender.role, status="not installed")
    return Row(contender.name, contender.role, version)


def _timed_run(contender: Contender, row: Row, source: Path, limit: float, work: Path) -> None:
    target = output_of(contender, work)
    shutil.rmtree(target.parent, ignore_errors=True)
    target.parent.mkdir(parents=True)
    settle(source)
    outcome = run(contender.command(source, target), limit=limit, log=work / "tool.log")
    if outcome.ok and target.exists():
        row.seconds.append(round(outcome.seconds, 3))
        row.peaks_mb.append(round(outcome.peak_mb, 1))
    else:
        row.status, row.reason = "failed", outcome.failure or "wrote no output"


def _inspect(row: Row, output: Path, reference: Path, work: Path) -> None:
    try:
        found = count(output, work)
    except RuntimeError as error:  # an output that cannot be parsed, or lacks its external data
        row.status, row.reason = "failed", str(error)
        return
    row.nodes, row.contrib, row.bytes = found["nodes"], found["contrib"], found["bytes"]
    row.parity, row.error, row.detail = check(output, reference, work)
