"""The child process that observes (``python -m onnxopt.runtime.calibration.worker``).

The session has the default optimisations: they are up to twice as fast, and an output keeps its value. Where they
fail on a model they are turned off.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from onnxopt.errors import ModelError, OnnxoptError
from onnxopt.quantization import statistics
from onnxopt.runtime import inside
from onnxopt.runtime import providers as provider_names
from onnxopt.runtime.calibration.group import Group
from onnxopt.runtime.calibration.job import STATISTICS, CalibrationJob
from onnxopt.runtime.calibration.keeper import Keeper
from onnxopt.runtime.calibration.ledger import Counts, Ledger
from onnxopt.runtime.calibration.planning import plan, write_group
from onnxopt.runtime.calibration.state import State
from onnxopt.runtime.job import PROGRESS, STOP
from onnxopt.runtime.readers.opening import open_reader
from onnxopt.runtime.sessions import Level, make_session, one_line

_LEVELS: tuple[Level, ...] = ("default", "disabled")


class Worker:
    """Runs a job.

    Args:
        job: what to observe.
        folder: the job folder.
        keeper: takes what is observed.
    """

    def __init__(self, job: CalibrationJob, folder: Path, keeper: Keeper) -> None:
        self._job = job
        self._folder = folder
        self._keeper = keeper
        self._steps = inside.Steps(folder / PROGRESS)
        self._reader = open_reader(job.samples, job.input_specs, options=job.reader_options)
        self._stopped = False

    def run(self) -> bool:
        """Observes all groups, unless told to stop; whether it was not."""
        self._steps("plan-run", 0)
        groups = plan(self._job, self._folder, self._reader, self._open)
        for place, names in enumerate(groups):
            self._pass(names, place, len(groups))
            if self._stopped:
                break
        return not self._stopped

    def _pass(self, names: list[str], place: int, places: int) -> None:
        """Observes one group over all samples."""
        step = f"pass {place + 1} of {places} sample"
        self._steps(f"{step} 0-load", 0)
        inputs = [] if place else self._job.inputs
        state = State(self._job.state, self._job.input_specs)
        fetch = [*names, *(name for name in state.outputs if name not in names)]
        session = self._open(write_group(self._job, self._folder, fetch)) if fetch else None
        group = Group(session, fetch, names, inputs, state, self._keeper)
        behind = self._keeper.behind(group.observed)
        if not group.observed:
            return
        for number, sample in enumerate(self._reader):
            if number < behind and not state.outputs:
                continue
            if (self._folder / STOP).exists():
                self._stopped = True
                return
            self._steps(f"{step} {number + 1}-run", number + 1)
            group.take(number, sample)
            self._keeper.save_in_time()

    def _open(self, path: Path) -> Any:
        job, reason = self._job, ""
        for level in _LEVELS:
            try:
                return make_session(
                    path,
                    level=level,
                    providers=provider_names.chain(job.provider),
                    threads=job.threads,
                    custom_op_libraries=job.custom_op_libraries,
                )
            except Exception as error:  # onnxruntime raises many unrelated classes
                reason = one_line(error)
        raise ModelError(f"the model does not load with its inner values as outputs: {reason}")


def attempt(job: CalibrationJob, folder: Path, keeper: Keeper) -> dict[str, Any]:
    """Observe.

    Returns:
        Whether all was done, and the error that ended it, if any.
    """
    result: dict[str, Any] = {"finished": False}
    try:
        result["finished"] = Worker(job, folder, keeper).run()
    except OnnxoptError as error:
        result["error"] = [type(error).__name__, str(error)]
    except MemoryError:
        result["error"] = ["ModelError", "out of memory while observing: use smaller samples"]
    except Exception as error:
        result["error"] = ["ModelError", f"calibration: {one_line(error)}"]
    return result


def execute(job: CalibrationJob, folder: Path) -> dict[str, Any]:
    """Observe; what was gathered is saved also when a sample is at fault.

    Returns:
        Whether all was done, what was not observed to the end, and the error that ended it, if any.
    """
    gathered = statistics.load(folder / STATISTICS)
    so_far = Counts(job.done, job.refused)
    ledger = Ledger(gathered, Path(job.save_to), job.samples, so_far, job.threads)
    result = attempt(job, folder, ledger)
    ledger.save()
    result["refused"] = ledger.refused
    return result


def main() -> int:
    """Run the job whose folder is the only argument; returns the exit status."""
    folder = Path(sys.argv[1])
    inside.die_with_parent(folder)
    inside.write_result(folder, execute(CalibrationJob.read(folder), folder))
    return inside.leave()


if __name__ == "__main__":
    sys.exit(main())
