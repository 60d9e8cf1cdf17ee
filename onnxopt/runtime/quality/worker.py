"""The child process that compares (``python -m onnxopt.runtime.quality.worker``).

One session at a time: the reference runs first, unless an earlier child has kept what it returns, then each of the others runs over the same
samples. Each feeds its own state back: what a small error does to a recurrent model shows only so.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from onnxopt.errors import ModelError, OnnxoptError
from onnxopt.runtime import inside
from onnxopt.runtime import providers as provider_names
from onnxopt.runtime.calibration.state import State, check_pairs
from onnxopt.runtime.job import PROGRESS
from onnxopt.runtime.quality.figures import Quality, worst
from onnxopt.runtime.quality.functions import Metric
from onnxopt.runtime.quality.job import QualityJob, compared
from onnxopt.runtime.quality.store import Outputs, Store
from onnxopt.runtime.quality.tally import Tally
from onnxopt.runtime.readers.opening import open_reader
from onnxopt.runtime.sessions import make_session, one_line
from onnxopt.runtime.tensors import is_extended, run_session


class Worker:
    """Runs a job.

    Args:
        job: what to compare.
        folder: the job folder.
    """

    def __init__(self, job: QualityJob, folder: Path) -> None:
        self._job = job
        self._folder = folder
        self._steps = inside.Steps(folder / PROGRESS)
        self._reader = open_reader(job.samples, job.input_specs, options=job.reader_options)
        self._metrics = [Metric(text, job.reader_options.folder) for text in job.metrics]
        self._kept: list[Outputs] = []
        self._notes: list[str] = []
        self._best: dict[str, float] = {}

    def run(self) -> Iterator[Quality]:
        """Yields what is found of each candidate."""
        self._reference()
        self._best = {metric.text: metric(self._kept, self._kept) for metric in self._metrics}
        for number, path in enumerate(self._job.candidates):
            yield self._candidate(number, path)
            gc.collect()

    def _reference(self) -> None:
        store = Store(Path(self._job.kept_in)) if self._job.kept_in else None
        total = None if store is None else store.count
        if store is not None and total is not None:
            self._kept, self._notes = store.load(self._compared_of(total)), store.notes
            return
        self._run_reference()
        if store is not None:
            store.keep(self._kept, self._notes)
        del self._kept[self._compared_of(len(self._kept)) :]

    def _compared_of(self, total: int) -> int:
        return compared(total, self._job.few, self._job.limit)

    def _run_reference(self) -> None:
        path, held = self._job.reference, 0
        deadline = time.monotonic() + self._job.seconds
        limit = self._job.kept_bytes // (2 if self._metrics else 1)
        try:
            for outputs in self._run(path, "reference", self._most()):
                held += sum(array.nbytes for array in outputs.values())
                if held > limit and self._kept:
                    break
                self._kept.append(outputs)
                if len(self._kept) >= self._job.limit and time.monotonic() > deadline:
                    break
        except OnnxoptError:
            raise
        except Exception as error:  # onnxruntime raises many unrelated classes
            raise ModelError(f"{path}: does not run: {one_line(error)}") from error
        if held > limit:
            self._notes.append(
                f"compared on {len(self._kept)} samples: the outputs of more would not fit in"
                f" {limit >> 20} MiB"
            )

    def _most(self) -> int | None:
        return None if self._job.seconds else self._job.limit

    def _candidate(self, number: int, path: str) -> Quality:
        quality = Quality(path, best=dict(self._best), notes=list(self._notes))
        tallies: dict[str, Tally] = {}
        kept: list[Outputs] = []
        try:
            runs = self._run(path, f"candidate{number}", len(self._kept))
            for wanted, outputs in zip(self._kept, runs, strict=True):
                _compare(tallies, wanted, outputs)
                if self._metrics:
                    kept.append(outputs)
        except OnnxoptError as error:
            quality.failure = str(error)
            return quality
        except Exception as error:  # onnxruntime raises many unrelated classes
            quality.failure = one_line(error)
            return quality
        quality.samples = len(self._kept)
        self._conclude(quality, tallies)
        quality.metrics = {metric.text: metric(self._kept, kept) for metric in self._metrics}
        return quality

    def _conclude(self, quality: Quality, tallies: dict[str, Tally]) -> None:
        quality.outputs = {name: tally.figures() for name, tally in tallies.items()}
        state = self._job.state
        own = [figures for name, figures in quality.outputs.items() if name not in state]
        quality.overall = worst(own or quality.outputs.values())
        quality.notes += [
            f"output {name!r} has another shape than the reference's in {tally.unlike} of"
            f" {tally.samples} samples"
            for name, tally in tallies.items()
            if tally.unlike
        ]

    def _run(self, path: str, stage: str, limit: int | None) -> Iterator[Outputs]:
        """Yields what a model returns for each sample; those outputs that are compared."""
        self._steps(f"{stage}-load", 0)
        session = make_session(
            path,
            level="default",
            providers=provider_names.chain(self._job.provider),
            custom_op_libraries=self._job.custom_op_libraries,
        )
        names = [output.name for output in session.get_outputs()]
        check_pairs(self._job.state, names, self._job.input_specs)
        state = State(self._job.state, self._job.input_specs)
        taken = {item.name for item in session.get_inputs()}
        taken.update(item.name for item in session.get_overridable_initializers())
        for number, sample in enumerate(islice(self._reader, limit)):
            self._steps(f"{stage}-run", number + 1)
            feed = {k: v for k, v in state.complete(sample).items() if k in taken}
            found = dict(zip(names, run_session(session, feed), strict=True))
            state.keep({name: found[name] for name in state.outputs})
            yield {name: value for name, value in found.items() if self._compared(value)}

    def _compared(self, value: Any) -> bool:
        """Floats; all arrays where a function of the user's wants them."""
        return isinstance(value, np.ndarray) and (bool(self._metrics) or _is_float(value))


def _is_float(array: np.ndarray) -> bool:
    return array.dtype.kind == "f" or (is_extended(array.dtype) and array.dtype.itemsize > 1)


def _compare(tallies: dict[str, Tally], wanted: Outputs, outputs: Outputs) -> None:
    for name, reference in wanted.items():
        if not _is_float(reference):
            continue
        if name not in outputs:
            raise ModelError(f"it has no float output {name!r}, which the reference has")
        tallies.setdefault(name, Tally()).add(reference, outputs[name])


def execute(job: QualityJob, folder: Path) -> dict[str, Any]:
    """Compare; what was found of each candidate is in the folder as soon as it is known.

    Returns:
        What was found, and what ended it early, if anything.
    """
    result: dict[str, Any] = {"found": []}
    try:
        for quality in Worker(job, folder).run():
            result["found"].append(quality.to_json())
            inside.write_result(folder, result)
    except OnnxoptError as error:
        result["error"] = [type(error).__name__, str(error)]
    except MemoryError:
        result["error"] = ["ModelError", "out of memory"]
    return result


def main() -> int:
    """Run the job whose folder is the only argument; returns the exit status."""
    folder = Path(sys.argv[1])
    inside.die_with_parent(folder)
    inside.write_result(folder, execute(QualityJob.read(folder), folder))
    return inside.leave()


if __name__ == "__main__":
    sys.exit(main())
