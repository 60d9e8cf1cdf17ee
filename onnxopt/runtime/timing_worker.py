"""The child process that times models (``python -m onnxopt.runtime.timing_worker``).

One session at a time, with the options a user gets who asks for none. The next model is loaded when the
last one's session and threads are gone.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from onnxopt.runtime import inside
from onnxopt.runtime import providers as provider_names
from onnxopt.runtime.feedio import Feed, load_feed
from onnxopt.runtime.job import PROGRESS
from onnxopt.runtime.sessions import make_session, one_line
from onnxopt.runtime.tensors import run_session
from onnxopt.runtime.timing_job import Lap, TimingJob

_SLOW = 10
_LEAST = 2


def execute(job: TimingJob, folder: Path) -> dict[str, Any]:
    """Time each model of a job.

    Returns:
        The laps, or which model could not be timed and why.
    """
    progress = inside.Steps(folder / PROGRESS)
    feed = load_feed(Path(job.feed), 0)
    laps: list[Lap] = []
    for number, path in enumerate(job.models):
        progress(f"model{number}-load", 0)
        gc.collect()
        try:
            session = _open(job, path)
            progress(f"model{number}-run", 0)
            laps.append(time_session(session, _fitting(session, feed), job))
        except Exception as error:  # onnxruntime raises many unrelated classes
            return {"failed": number, "reason": one_line(error)}
        del session
    return {"laps": [asdict(lap) for lap in laps]}


def time_session(session: Any, feed: Feed, job: TimingJob) -> Lap:
    """Warm a session up, then time single runs until there are enough."""
    begun = time.perf_counter()
    for number in range(sys.maxsize):
        elapsed = time.perf_counter() - begun
        if (number >= _LEAST and elapsed >= job.warm_s) or elapsed >= _SLOW * job.warm_s:
            break
        run_session(session, feed)
    times: list[float] = []
    while not _enough(times, job):
        before = time.perf_counter()
        run_session(session, feed)
        times.append(time.perf_counter() - before)
    return Lap(statistics.median(times), min(times), len(times))


def _enough(times: list[float], job: TimingJob) -> bool:
    if len(times) < _LEAST:
        return False
    total = sum(times)
    return total >= _SLOW * job.run_s or (total >= job.run_s and len(times) >= job.least_runs)


def _open(job: TimingJob, path: str) -> Any:
    return make_session(
        path,
        level="default",
        providers=provider_names.chain(job.provider),
        custom_op_libraries=job.custom_op_libraries,
        timed=True,
    )


def _fitting(session: Any, feed: Feed) -> Feed:
    """The sample without values for initializers that are constants now."""
    known = [*session.get_inputs(), *session.get_overridable_initializers()]
    names = {item.name for item in known}
    return {name: value for name, value in feed.items() if name in names}


def main() -> int:
    """Run the job whose folder is the only argument; returns the exit status."""
    folder = Path(sys.argv[1])
    inside.die_with_parent(folder)
    inside.write_result(folder, execute(TimingJob.read(folder), folder))
    return inside.leave()


if __name__ == "__main__":
    sys.exit(main())
