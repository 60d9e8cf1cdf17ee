"""Child process: one session of one model, timed or profiled.

``REQUEST ANSWER.json``, where the request is JSON; a process has one session and ends with it, so that what
one contender leaves behind in memory or threads does not meet the next.
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench_lib.latency.profile import kinds_by_run, summarise
from bench_lib.sessions import open_session, prepare

TIMED_SECONDS = 1.0
WARM_SECONDS, WARM_RUNS = 0.25, 3
FEWEST, MOST = 5, 20_000
PROFILED_FEWEST, PROFILED_MOST = 5, 20


@dataclass(frozen=True)
class Request:
    """What the process is to do.

    Attributes:
        model: Path of the model.
        inputs: Path of a file of arrays, one per graph input.
        provider: ``cpu`` or ``cuda``.
        threads: See :class:`bench_lib.latency.results.Setting`.
        spinning: Whether threads spin while they wait.
        repeat: Runs to time; 0 for as many as take about :data:`TIMED_SECONDS`.
        profile: Profile instead of timing.
    """

    model: str
    inputs: str
    provider: str
    threads: int
    spinning: bool = True
    repeat: int = 0
    profile: bool = False


def timed(request: Request) -> dict[str, float]:
    """Time to load, then median and minimum of the runs, in milliseconds; and how many there were."""
    prepare(request.provider)
    started = time.perf_counter()
    session = _session(request, None)
    load = time.perf_counter() - started
    call = _call(session, request)
    fastest = _warm(call)
    repeat = request.repeat or min(max(round(TIMED_SECONDS / fastest), FEWEST), MOST)
    gc.disable()
    seconds = [_seconds(call) for _ in range(repeat)]
    return {
        "median_ms": median(seconds) * 1000,
        "minimum_ms": min(seconds) * 1000,
        "load_ms": load * 1000,
        "repeat": repeat,
    }


def profiled(request: Request) -> dict[str, float]:
    """Milliseconds in a run by kind of kernel: medians over some runs after the first few."""
    with tempfile.TemporaryDirectory(dir=Path(request.inputs).parent) as folder:
        session = _session(request, Path(folder) / "profile")
        call = _call(session, request)
        for _ in range(WARM_RUNS):
            call()
        repeat = min(max(request.repeat // 4, PROFILED_FEWEST), PROFILED_MOST)
        for _ in range(repeat):
            call()
        events = json.loads(Path(session.end_profiling()).read_text())
    return summarise(kinds_by_run(events)[-repeat:])


def _session(request: Request, profile: Path | None) -> Any:
    return open_session(
        Path(request.model),
        request.provider,
        threads=request.threads,
        spinning=request.spinning,
        profile=profile,
    )


def _call(session: Any, request: Request) -> Callable[[], object]:
    with np.load(request.inputs) as stored:
        inputs = {name: stored[name] for name in stored.files}
    return lambda: session.run(None, inputs)


def _warm(call: Callable[[], object]) -> float:
    """Run until caches, arenas and clocks have settled; the fastest run in seconds."""
    found: list[float] = []
    while len(found) < WARM_RUNS or sum(found) < WARM_SECONDS:
        found.append(_seconds(call))
    return max(min(found), 1e-9)


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main() -> None:
    """Entry point."""
    request = Request(**json.loads(sys.argv[1]))
    answer = profiled(request) if request.profile else timed(request)
    Path(sys.argv[2]).write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
