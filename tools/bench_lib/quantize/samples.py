"""Child process: the samples of a model, one file each, for calibration and apart from them for evaluation.

``SUBJECT FOLDER CALIBRATION EVALUATION MODEL`` writes ``FOLDER/calibration/*.npz`` and ``FOLDER/evaluation/*.npz``. What
all contenders read is the same files. Where state is fed back, the float model says what it is at each sample.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

import models
from bench_lib.cases import Case
from bench_lib.quantize.pictures import picture
from bench_lib.quantize.subjects import Subject, named
from bench_lib.sessions import open_session
from models.build import lookup

Sample = dict[str, np.ndarray[Any, Any]]
PARTS = {"calibration": 100_000, "evaluation": 200_000}  # where the seeds of each begin


def drawn(case: Case, first: int) -> Iterator[Sample]:
    """Samples of a reference model, batch 1: pictures for what takes images, else valid random values.

    Args:
        case: The model.
        first: The first sample's seed; the next ones count on.
    """
    reference, config = lookup(case.name, case.size)
    kinds = {spec.name: spec for spec in reference.inputs(config)}
    dims = {"batch": 1} if "batch" in reference.dims(config) else {}
    seed = first
    while True:
        sample = models.sample_inputs(case.name, case.size, seed=seed, dims=dims)
        for name, array in sample.items():
            if kinds[name].kind == "normal" and array.ndim == 4 and array.shape[1] in (1, 3):
                rng = np.random.default_rng(seed)
                sample[name] = np.stack([picture(array.shape[1:], rng) for _ in array])
        yield dict(sample)
        seed += 1


def samples_of(subject: Subject, part: str, model: Path) -> Iterator[Sample]:
    """All samples of ``calibration`` or ``evaluation``."""
    if subject.case is not None:
        return drawn(subject.case, PARTS[part])
    module = importlib.import_module(subject.import_name)
    found = getattr(module, part)()
    return _with_state(found, subject, model) if subject.state else iter(found)


def _with_state(
    found: Iterable[Mapping[str, Any] | Iterable[Mapping[str, Any]]], subject: Subject, model: Path
) -> Iterator[Sample]:
    """Samples with the state that the float model has come to; each sequence begins with zeros."""
    session = open_session(model, threads=1)
    pairs = dict(subject.state)
    shapes = {i.name: i.shape for i in session.get_inputs()}
    names = [o.name for o in session.get_outputs()]
    for item in found:
        state = {
            name: np.zeros([d if isinstance(d, int) else 1 for d in shapes[name]], np.float32)
            for name in pairs.values()
        }
        for sample in [item] if isinstance(item, Mapping) else item:
            full = {**sample, **state}
            yield full
            outputs = dict(zip(names, session.run(None, full), strict=True))
            state = {into: outputs[out] for out, into in pairs.items()}


def store(found: Iterable[Sample], folder: Path, count: int) -> None:
    """Write ``count`` samples at most.

    Raises:
        RuntimeError: There are none.
    """
    folder.mkdir(parents=True)
    written = 0
    for written, sample in enumerate(islice(found, count), 1):
        np.savez(folder / f"{written:05}.npz", **sample)  # type: ignore[arg-type]
    if not written:
        raise RuntimeError(f"no samples for {folder.name}")


def read(folder: Path, limit: int | None = None) -> Iterator[Sample]:
    """The samples in a folder, one at a time."""
    for path in islice(sorted(folder.glob("*.npz")), limit):
        with np.load(path) as stored:
            yield {name: stored[name] for name in stored.files}


def main() -> None:
    """Entry point."""
    subject, folder, model = named(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[5])
    for part, count in zip(PARTS, map(int, sys.argv[3:5]), strict=True):
        if count:
            store(samples_of(subject, part, model), folder / part, count)


if __name__ == "__main__":
    main()
