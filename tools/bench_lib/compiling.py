"""Run every tool on one model: timed runs interleaved, then each output counted and checked."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from bench_lib.cases import Case, ensure
from bench_lib.contenders import Contender
from bench_lib.outputs import Progress, blank, count, inspect, make_reference, output_of, produce
from bench_lib.results import CaseResult, Row


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
    result.rows = [blank(c, Row) for c in contenders]
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
            inspect(row, output_of(contender, work), reference, work)
    for contender in contenders:
        shutil.rmtree(output_of(contender, work).parent, ignore_errors=True)
    return result


def _timed_run(contender: Contender, row: Row, source: Path, limit: float, work: Path) -> None:
    outcome = produce(contender, row, source, limit=limit, work=work)
    if row.status == "ok":
        row.seconds.append(round(outcome.seconds, 3))
        row.peaks_mb.append(round(outcome.peak_mb, 1))
