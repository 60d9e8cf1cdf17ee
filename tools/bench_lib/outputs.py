"""What a tool makes of a model: the file it writes, counted and checked, each step in a child."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from bench_lib.cases import Case
from bench_lib.contenders import Contender
from bench_lib.measure import Outcome, python, run, settle
from bench_lib.results import Entry

Progress = Callable[[str], None]
CHECK_LIMIT = 600.0
AnyEntry = TypeVar("AnyEntry", bound=Entry)


def output_of(contender: Contender, work: Path) -> Path:
    """Where a contender writes: a folder of its own, because external data lies beside the model."""
    return work / contender.name.replace(" ", "-").replace(",", "") / "out.onnx"


def blank(contender: Contender, kind: type[AnyEntry]) -> AnyEntry:
    """An entry of class ``kind`` for a contender that has not run yet, or is not installed."""
    version = contender.version()
    if version is None:
        return kind(contender.name, contender.role, status="not installed")
    return kind(contender.name, contender.role, version)


def produce(
    contender: Contender, entry: Entry, source: Path, *, limit: float, work: Path
) -> Outcome:
    """Let a contender write its output anew; one that fails is marked so in ``entry``."""
    target = output_of(contender, work)
    shutil.rmtree(target.parent, ignore_errors=True)
    target.parent.mkdir(parents=True)
    settle(source)
    outcome = run(contender.command(source, target), limit=limit, log=work / "tool.log")
    if not outcome.ok or not target.exists():
        entry.status, entry.reason = "failed", outcome.failure or "wrote no output"
    return outcome


def inspect(
    entry: Entry, output: Path, reference: Path, work: Path, *, provider: str = "cpu"
) -> None:
    """Count nodes and bytes of an output and compare its results with the original's."""
    try:
        found = count(output, work)
    except RuntimeError as error:  # an output that cannot be parsed, or lacks its external data
        entry.status, entry.reason = "failed", str(error)
        return
    entry.nodes, entry.contrib, entry.bytes = found["nodes"], found["contrib"], found["bytes"]
    entry.parity, entry.error, entry.detail = check(output, reference, work, provider=provider)


def count(model: Path, work: Path) -> dict[str, Any]:
    """The :class:`bench_lib.facts.Facts` of a model, found in a child."""
    answer = work / "facts.json"
    child(python("bench_lib.facts", model, answer), work)
    found: dict[str, Any] = json.loads(answer.read_text())
    return found


def make_reference(case: Case, source: Path, work: Path, *, provider: str = "cpu") -> Path:
    """File of the original's inputs and outputs, computed in a child."""
    target = work / "reference.npz"
    command = python("bench_lib.parity", "reference", provider, case.argument(), source, target)
    child(command, work)
    return target


def check(
    model: Path, reference: Path, work: Path, *, provider: str = "cpu"
) -> tuple[str, float, str]:
    """Parity, relative error and detail of an optimised model; see :class:`Entry`."""
    answer = work / "parity.json"
    command = python("bench_lib.parity", "compare", provider, reference, model, answer)
    outcome = run(command, limit=CHECK_LIMIT, log=work / "parity.log")
    if not outcome.ok:
        return "does not run", 0.0, outcome.failure
    found = json.loads(answer.read_text())
    return "same" if found["ok"] else "differs", found["error"], found["detail"]


def child(command: Sequence[str], work: Path) -> None:
    """Run one of our own steps.

    Raises:
        RuntimeError: It failed.
    """
    outcome = run(command, limit=CHECK_LIMIT, log=work / "child.log")
    if not outcome.ok:
        raise RuntimeError(f"{' '.join(command[2:4])} failed: {outcome.failure}")
