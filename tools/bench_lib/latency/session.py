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
from typing import Any, TypeVar

import numpy as np

from bench_lib.latency.profile import kinds_by_run, summarise
from bench_lib.sessions import open_session, prepare

TIMED_SECONDS = 1.0
WARM_SECONDS, WARM_RUNS = 0.25, 3
FEWEST, MOST = 5, 20_000
PROFILED_FEWEST, PROFILED_MOST = 5, 50
T = TypeVar("T")


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
    """The figures of a :class:`bench_lib.latency.results.Round`, and how many runs there were."""
    prepare(request.provider)
    load, load_cpu, session = _clocked(lambda: _session(request, None))
    call = _call(session, request)
    fastest = _warm(call)
    repeat = request.repeat or min(max(round(TIMED_SECONDS / fastest), FEWEST), MOST)
    gc.disable()
    _, cpu, seconds = _clocked(lambda: [_clocked(call)[0] for _ in range(repeat)])
    return {
        "median_ms": median(seconds) * 1000,
        "minimum_ms": min(seconds) * 1000,
        "cpu_ms": cpu * 1000 / repeat if request.provider == "cpu" else 0.0,
        "load_ms": load * 1000,
        "load_cpu_ms": load_cpu * 1000,
        "repeat": repeat,
    }


def profiled(request: Request) -> dict[str, float]:
    """Milliseconds in a run by kind of kernel: medians over some runs after the first few."""
    with tempfile.TemporaryDirectory(dir=Path(request.inputs).parent) as folder:
        session = _session(request, Path(folder) / "profile")
        call = _call(session, request)
        for _ in range(WARM_RUNS):
            call()
        repeat = min(max(request.repeat // 2, PROFILED_FEWEST), PROFILED_MOST)
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
        found.append(_clocked(call)[0])
    return max(min(found), 1e-9)


def _clocked(call: Callable[[], T]) -> tuple[float, float, T]:
    """Seconds that a call takes, seconds that the process is on a core meanwhile, and its result."""
    cpu, started = time.process_time(), time.perf_counter()
    result = call()
    return time.perf_counter() - started, time.process_time() - cpu, result


def main() -> None:
    """Entry point."""
    request = Request(**json.loads(sys.argv[1]))
    answer = profiled(request) if request.profile else timed(request)
    Path(sys.argv[2]).write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
