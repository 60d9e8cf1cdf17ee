"""One model in all settings: each tool's output is made and checked once, then timed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench_lib.cases import Case, ensure
from bench_lib.contenders import Contender
from bench_lib.latency.contend import told
from bench_lib.latency.results import LatencyCase, LatencyRow, Setting
from bench_lib.latency.rounds import Plan, measure
from bench_lib.outputs import Progress, blank, count, inspect, make_reference, output_of, produce


def bench_case(
    case: Case,
    contenders: Sequence[Contender],
    settings: Sequence[Setting],
    plan: Plan,
    *,
    work: Path,
    progress: Progress,
) -> LatencyCase:
    """Time what ``contenders`` make of ``case``.

    Args:
        case: The model.
        contenders: The tools, the original among them.
        settings: Batches and threads.
        plan: How to measure.
        work: Folder for outputs.
        progress: Receives a line about each step.

    Returns:
        One row per contender, also for those that failed or are not installed; none, and the reason,
        if the model could not be exported or the original does not run.
    """
    progress(f"{case.label}: export and reference outputs")
    try:
        source = ensure(case, work)
        facts = count(source, work)
        reference = make_reference(case, source, work, provider=plan.provider)
    except RuntimeError as error:
        return LatencyCase(case.label, failure=str(error))
    result = LatencyCase(case.label, facts["nodes"], facts["bytes"])
    entrants: list[tuple[LatencyRow, Path]] = []
    for contender in contenders:
        progress(f"{case.label}: {contender.name}")
        row, path = _made(told(contender, case), source, reference, plan, work)
        result.rows.append(row)
        if row.status == "ok":
            entrants.append((row, path))
    for setting in settings:
        busy = measure(case, entrants, setting, plan, work=work, progress=progress)
        result.busy = max(result.busy, round(busy, 2))
    return result


def _made(
    contender: Contender, source: Path, reference: Path, plan: Plan, work: Path
) -> tuple[LatencyRow, Path]:
    """The contender's row, and the file it made of ``source`` if its status is ``ok``."""
    row = blank(contender, LatencyRow)
    untouched = contender.role in ("original", "control")
    path = source if untouched else output_of(contender, work)
    if row.status == "ok" and not untouched:
        produce(contender, row, source, limit=plan.limit, work=work)
    if row.status == "ok":
        inspect(row, path, reference, work, provider=plan.provider)
    return row, path
