"""The child process that compares inner values (``python -m onnxopt.runtime.quality.inner_worker``).

Both models run on each sample in turn, so that only one sample's values are held; a group of values at a time.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from onnxopt.errors import ModelError, OnnxoptError
from onnxopt.runtime import inside
from onnxopt.runtime import providers as provider_names
from onnxopt.runtime.calibration.fetching import telling
from onnxopt.runtime.calibration.job import CalibrationJob
from onnxopt.runtime.calibration.planning import plan, write_group
from onnxopt.runtime.calibration.state import State
from onnxopt.runtime.job import PROGRESS
from onnxopt.runtime.quality.inner_job import InnerJob
from onnxopt.runtime.readers.opening import open_reader
from onnxopt.runtime.readers.reader import Sample
from onnxopt.runtime.sessions import Level, make_session, one_line
from onnxopt.runtime.tensors import run_session

_LEVELS: tuple[Level, ...] = ("default", "disabled")
_FLOATS = (np.float16, np.float32, np.float64)


@dataclass
class Sums:
    """Sums of squares of a value over samples.

    Attributes:
        signal: of the reference.
        noise: of the differences.
        count: elements.
    """

    signal: float = 0.0
    noise: float = 0.0
    count: int = 0

    def add(self, reference: np.ndarray, other: np.ndarray) -> None:
        """Takes arrays of one shape."""
        usable = np.isfinite(reference)
        r = np.where(usable, reference, 0.0).astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            error = np.where(usable, other, 0.0).astype(np.float64) - r
            self.signal += float(np.vdot(r, r))
            noise = float(np.vdot(error, error))
        self.noise += noise if np.isfinite(noise) else np.inf
        self.count += int(usable.sum())


@dataclass
class Side:
    """One of the models with a group of values as its outputs.

    Attributes:
        session: returns them; None where nothing need be run.
        names: names of all its outputs.
        state: what is fed back in this model.
    """

    session: Any
    names: Sequence[str]
    state: State

    def run(self, sample: Sample) -> dict[str, np.ndarray]:
        """The values in a sample, inputs of the model among them."""
        feed = self.state.complete(sample)
        found = {name: value for name, value in feed.items() if isinstance(value, np.ndarray)}
        if self.session is None:
            return found
        taken = {item.name for item in self.session.get_inputs()}
        given = {name: value for name, value in feed.items() if name in taken}
        with telling(sample.where):
            values = dict(zip(self.names, run_session(self.session, given), strict=True))
        self.state.keep({name: values[name] for name in self.state.outputs})
        return found | values


@dataclass
class Worker:
    """Runs a job.

    Attributes:
        job: what to compare.
        folder: the job folder.
        sums: what was found so far, by name in the reference.
    """

    job: InnerJob
    folder: Path
    sums: dict[str, Sums] = field(default_factory=dict)

    def run(self) -> dict[str, Sums]:
        """Compares all groups."""
        steps = inside.Steps(self.folder / PROGRESS)
        here, there = (self.job.observing(m) for m in (self.job.reference, self.job.candidate))
        reader = open_reader(self.job.samples, here.input_specs, options=here.reader_options)
        steps("plan-run", 0)
        for place, values in enumerate(plan(here, self.folder, reader, self._open)):
            steps(f"inner{place}-load", 0)
            names = {n: self.job.values[n] for n in (*(() if place else self.job.inputs), *values)}
            sides = self._side(here, values), self._side(there, list(names.values()))
            for number, sample in enumerate(islice(reader, self.job.limit)):
                steps(f"inner{place}-run", number + 1)
                self._compare(names, *(side.run(sample) for side in sides))
        return self.sums

    def _side(self, job: CalibrationJob, names: Sequence[str]) -> Side:
        state = State(job.state, job.input_specs)
        fetch = [*names, *(name for name in state.outputs if name not in names)]
        fetch = list(dict.fromkeys(fetch))
        folder = self.folder / ("reference" if job.model == self.job.reference else "candidate")
        folder.mkdir(exist_ok=True)
        session = self._open(write_group(job, folder, fetch)) if fetch else None
        return Side(session, fetch, state)

    def _compare(
        self,
        names: Mapping[str, str],
        reference: Mapping[str, np.ndarray],
        other: Mapping[str, np.ndarray],
    ) -> None:
        for name, called in names.items():
            one, two = reference.get(name), other.get(called)
            if one is None or two is None or one.dtype not in _FLOATS or one.shape != two.shape:
                continue
            self.sums.setdefault(name, Sums()).add(one, two)

    def _open(self, path: Path) -> Any:
        reason = ""
        for level in _LEVELS:
            try:
                return make_session(
                    path,
                    level=level,
                    providers=provider_names.chain(self.job.provider),
                    custom_op_libraries=self.job.custom_op_libraries,
                )
            except Exception as error:  # onnxruntime raises many unrelated classes
                reason = one_line(error)
        raise ModelError(f"the model does not load with its inner values as outputs: {reason}")


def execute(job: InnerJob, folder: Path) -> dict[str, Any]:
    """Compare; the sums by name, or what went wrong."""
    try:
        found = Worker(job, folder).run()
    except OnnxoptError as error:
        return {"error": [type(error).__name__, str(error)]}
    except MemoryError:
        return {"error": ["ModelError", "out of memory while comparing: use smaller samples"]}
    except Exception as error:
        return {"error": ["ModelError", f"comparing inner values: {one_line(error)}"]}
    return {"found": {name: [s.signal, s.noise, s.count] for name, s in found.items()}}


def main() -> int:
    """Run the job whose folder is the only argument; returns the exit status."""
    folder = Path(sys.argv[1])
    inside.die_with_parent(folder)
    inside.write_result(folder, execute(InnerJob.read(folder), folder))
    return inside.leave()


if __name__ == "__main__":
    sys.exit(main())
