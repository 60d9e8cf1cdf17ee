"""The rounds of one model in one setting: in each, every contender once, in a process of its own."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench_lib.cases import Case
from bench_lib.latency.results import LatencyRow, Round, Setting, Timing
from bench_lib.latency.session import Request
from bench_lib.measure import python, read_in, run
from bench_lib.outputs import Progress, child


@dataclass(frozen=True)
class Plan:
    """How to measure.

    Attributes:
        rounds: How many.
        repeat: Runs in each process; 0 for as many of the original's as take about a second.
        limit: Seconds a process may take, of a tool or of a session.
        provider: ``cpu`` or ``cuda``.
        spinning: Whether threads spin while they wait, as by default.
    """

    rounds: int
    repeat: int = 0
    limit: float = 600.0
    provider: str = "cpu"
    spinning: bool = True


def measure(
    case: Case,
    entrants: Sequence[tuple[LatencyRow, Path]],
    setting: Setting,
    plan: Plan,
    *,
    work: Path,
    progress: Progress,
) -> float:
    """Add a timing in ``setting`` to each row; one whose process fails is not run again.

    Args:
        case: The model.
        entrants: Rows and the files they made of the model; the original first.
        setting: Batch and threads.
        plan: How to measure.
        work: Folder for what passes between processes.
        progress: Receives a line about each round.

    Returns:
        The highest load average of the machine, looked at before each round.
    """
    try:
        inputs = _draw(case, setting, work)
    except RuntimeError as error:
        for row, _ in entrants:
            row.timings.append(Timing(setting, failure=str(error)))
        return 0.0
    return race(case.label, entrants, inputs, setting, plan, work=work, progress=progress)


def race(
    label: str,
    entrants: Sequence[tuple[LatencyRow, Path]],
    inputs: Path,
    setting: Setting,
    plan: Plan,
    *,
    work: Path,
    progress: Progress,
    profiled: bool = True,
) -> float:
    """Add a timing in ``setting`` to each row, all on the same inputs; see :func:`measure`.

    Args:
        label: What the model is called in progress.
        entrants: Rows and files; the first tells how many runs fill a process.
        inputs: File of arrays, one for each graph input.
        setting: Batch and threads.
        plan: How to measure.
        work: Folder for what passes between processes.
        progress: Receives a line about each round.
        profiled: Whether to profile after timing.

    Returns:
        The highest load average of the machine, looked at before each round.
    """
    timings = [Timing(setting) for _ in entrants]
    for (row, _), timing in zip(entrants, timings, strict=True):
        row.timings.append(timing)
    paths = [path for _, path in entrants]
    process = _Process(inputs, plan, setting, work)
    repeat = plan.repeat or process.calibrate(paths)
    busy = 0.0
    for number in range((2 if profiled else 1) * plan.rounds):
        busy = max(busy, os.getloadavg()[0])
        profile, index = divmod(number, plan.rounds)
        what = "profile" if profile else "round"
        progress(f"{label}: {setting.label}, {what} {index + 1} of {plan.rounds}")
        for path, timing in _shuffled(paths, timings, number):
            if not timing.failure:
                process.add(path, timing, repeat, profile=bool(profile))
    return busy


def _draw(case: Case, setting: Setting, work: Path) -> Path:
    """File of the inputs at the setting's batch."""
    target = work / "inputs.npz"
    batch = str(setting.batch)
    child(python("bench_lib.latency.inputs", case.argument(), batch, target), work)
    return target


def _shuffled(
    paths: Sequence[Path], timings: Sequence[Timing], seed: int
) -> list[tuple[Path, Timing]]:
    """Another order in each round, so that none always follows the same."""
    pairs = list(zip(paths, timings, strict=True))
    random.Random(seed).shuffle(pairs)
    return pairs


@dataclass(frozen=True)
class _Process:
    """Starts one process after another for one model in one setting."""

    inputs: Path
    plan: Plan
    setting: Setting
    work: Path

    def calibrate(self, models: Sequence[Path]) -> int:
        """How many runs of the first fill a process; 0, each on its own, if it does not run."""
        answer, _ = self._ask(self._request(models[0])) if models else (None, "")
        return int(answer["repeat"]) if answer else 0

    def add(self, model: Path, timing: Timing, repeat: int, *, profile: bool) -> None:
        """Let a process measure ``model`` and add its figures, or why there are none."""
        if profile and timing.unprofiled:
            return
        request = replace(self._request(model), repeat=repeat, profile=profile)
        answer, failure = self._ask(request)
        if profile:
            timing.unprofiled = failure
            timing.profiles += [answer] if answer else []
        elif answer:
            timing.repeat = int(answer.pop("repeat"))
            timing.rounds.append(Round(**answer))
        else:
            timing.failure = failure

    def _request(self, model: Path) -> Request:
        plan, threads = self.plan, self.setting.threads
        return Request(str(model), str(self.inputs), plan.provider, threads, plan.spinning)

    def _ask(self, request: Request) -> tuple[dict[str, Any] | None, str]:
        """What the process answers, or None and why there is no answer."""
        answer = self.work / "answer.json"
        answer.unlink(missing_ok=True)
        read_in(Path(request.model))
        command = python("bench_lib.latency.session", json.dumps(asdict(request)), answer)
        outcome = run(command, limit=self.plan.limit, log=self.work / "session.log")
        if not outcome.ok:
            return None, outcome.failure
        if not answer.exists():
            return None, "its process ended without an answer"
        found: dict[str, Any] = json.loads(answer.read_text())
        return {key: round(value, 6) for key, value in found.items()}, ""
