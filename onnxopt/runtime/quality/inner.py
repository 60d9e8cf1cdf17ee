"""How far values inside a model are from those of a reference: what accumulates from layer to layer."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from onnxopt import errors
from onnxopt.errors import ModelError
from onnxopt.io import load
from onnxopt.runtime.calibration.outputs import named
from onnxopt.runtime.child import Ended, python, run_child
from onnxopt.runtime.quality.inner_job import InnerJob
from onnxopt.runtime.quality.job import KEPT_BYTES, Reading

_WORKER = python("onnxopt.runtime.quality.inner_worker")
SAMPLES = 8
"""Powers over so many samples are known well enough: each has many elements."""


@dataclass(frozen=True)
class Powers:
    """A value in both models, over all samples; elements that are not finite in the reference are left out.

    Attributes:
        signal: sum of squares in the reference.
        noise: sum of squared differences.
        count: how many elements.
    """

    signal: float
    noise: float
    count: int

    @property
    def ratio(self) -> float | None:
        """Noise power over signal power; None where there is no signal."""
        return self.noise / self.signal if self.signal > 0 else None

    @property
    def mean_square(self) -> float:
        """Mean square in the reference."""
        return self.signal / self.count if self.count else 0.0


def measure_inner(
    reference: Path,
    candidate: Path,
    values: Mapping[str, str],
    reading: Reading,
    *,
    provider: str = "CPUExecutionProvider",
    timeout_s: float = 600.0,
    custom_op_libraries: tuple[str, ...] | list[str] = (),
    limit: int = SAMPLES,
    group_bytes: int = KEPT_BYTES,
    on_progress: Callable[[str, int], None] | None = None,
) -> dict[str, Powers]:
    """Compare values inside two models on the user's samples, each fed its own state.

    Both run in one child with the values as extra outputs, in passes over the samples where there are too many.

    Args:
        reference: path of the reference.
        candidate: path of the other.
        values: name of a value of the main graph, or of an input, in the reference -> its name in the other. Names that
            are in only one of the models are passed over.
        reading: the samples, and what state is fed back.
        provider: full provider name.
        timeout_s: seconds that loading the models, and each sample, may take.
        custom_op_libraries: paths of shared libraries.
        limit: samples at most.
        group_bytes: bytes of values of both models that are held at a time at most.
        on_progress: called with stage and sample number.

    Returns:
        By name in the reference. Values that are not floats, or whose shapes differ, are missing.

    Raises:
        UsageError: the samples do not fit the model.
        ModelError: one of the models does not run with inner values as outputs.
    """
    here, there = load(reference), named(load(candidate))
    inputs = {value.name or "" for value in here.graph.inputs}
    inner = named(here)
    both = {a: b for a, b in values.items() if b in there and (a in inner or a in inputs)}
    if not both:
        return {}
    job = InnerJob(
        os.path.abspath(reference),
        os.path.abspath(candidate),
        # In the graph's order: what the first groups do not need is not computed for them.
        {a: both[a] for a in (*sorted(inputs & set(both)), *(n for n in inner if n in both))},
        sorted(inputs & set(both)),
        reading.source,
        reading.options.to_json(),
        [spec.to_json() for spec in reading.specs],
        limit,
        group_bytes,
        dict(reading.state),
        provider,
        [os.path.abspath(library) for library in custom_op_libraries],
    )
    with tempfile.TemporaryDirectory(prefix="onnxopt-") as name:
        job.write(Path(name))
        return _found(run_child(Path(name), timeout_s, on_progress, _WORKER))


def _found(ended: Ended) -> dict[str, Powers]:
    if ended.result is None:
        raise ModelError(f"comparing inner values: {ended.trouble}")
    if "error" in ended.result:
        kind, message = ended.result["error"]
        raise getattr(errors, kind)(message)
    return {name: Powers(*sums) for name, sums in ended.result["found"].items()}
