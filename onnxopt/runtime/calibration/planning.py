"""Which values are fetched together: as many as are within a bound of memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from onnxopt.io import load, save
from onnxopt.runtime.calibration import outputs
from onnxopt.runtime.calibration.fetching import telling
from onnxopt.runtime.calibration.job import CalibrationJob
from onnxopt.runtime.calibration.state import State, dim_sizes
from onnxopt.runtime.readers.reader import Reader, Sample
from onnxopt.runtime.tensors import run_session

Open = Callable[[Path], Any]
"""Makes a session of a model file."""


def plan(job: CalibrationJob, folder: Path, reader: Reader, open_: Open) -> list[list[str]]:
    """Cut the values to observe into groups.

    What the model leaves open is as in the first sample: dims that its inputs name, too, are read off it; for other
    values the model is run once with their shapes as its only outputs. Later samples may be larger.

    Args:
        job: what to observe.
        folder: for models on the way.
        reader: the samples.
        open_: makes a session.

    Returns:
        Names in the graph's order; one empty group where only inputs are observed.
    """
    model = load(job.model)
    stated = outputs.stated_bytes(model, job.values, {})
    if None in stated.values():
        sample = next(iter(reader))
        there = dim_sizes(job.input_specs, sample.feed)
        stated = outputs.stated_bytes(model, job.values, there)
        stated |= _measured(
            job, folder, sample, open_, [n for n in job.values if stated[n] is None]
        )
    sizes = {name: size for name, size in stated.items() if size is not None}
    return outputs.grouped(sizes, job.group_bytes) or [[]]


def write_group(job: CalibrationJob, folder: Path, names: list[str]) -> Path:
    """Write the model with these as its outputs; weights stay where they are if they are in the folder."""
    model = load(job.model)
    outputs.with_outputs(model, names)
    path = folder / "group.onnx"
    save(model, path, reference=job.reference, fsync=False)
    return path


def _measured(
    job: CalibrationJob, folder: Path, sample: Sample, open_: Open, names: list[str]
) -> dict[str, int | None]:
    """Bytes of values in a sample."""
    if not names:
        return {}
    model = load(job.model)
    widths = [outputs.element_bytes(model, name) for name in names]
    outputs.with_shapes(model, names)
    path = folder / "shapes.onnx"
    save(model, path, reference=job.reference, fsync=False)
    session = open_(path)
    feed = State(job.state, job.input_specs).complete(sample)
    with telling(sample.where):
        shapes = run_session(session, feed)
    path.unlink()
    elements = [math.prod(shape.tolist()) for shape in shapes]
    return {name: n * width for name, n, width in zip(names, elements, widths, strict=True)}
