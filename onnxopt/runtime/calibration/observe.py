"""Observing a model: the parent's side, which orders, waits, and keeps what was gathered."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnx_ir as ir

from onnxopt.errors import ModelError, UsageError
from onnxopt.io.identity import identity
from onnxopt.quantization import statistics as files
from onnxopt.quantization.statistics import Statistics
from onnxopt.quantization.wants import Wants
from onnxopt.runtime.calibration import outputs
from onnxopt.runtime.calibration.job import GROUP_BYTES, STATISTICS, CalibrationJob
from onnxopt.runtime.calibration.ledger import Counts, counts_path, read_counts
from onnxopt.runtime.calibration.preparing import (
    GRACE_S,
    Progress,
    file_of,
    result_of,
    subject_of,
    told,
)
from onnxopt.runtime.child import Ended, python, run_child
from onnxopt.runtime.readers.options import ReaderOptions

WORKER = python("onnxopt.runtime.calibration.worker")


@dataclass
class Observation:
    """What was gathered.

    Attributes:
        statistics: of all values observed; its ``samples`` is how many samples all of them have had.
        finished: False if it was interrupted: go on with the same checkpoint.
        refused: value -> why it was not observed, or no further than some sample: its range is not to be used.
        notes: what was left out from the start, in words.
    """

    statistics: Statistics
    finished: bool = True
    refused: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def observe(
    model: ir.Model | str | os.PathLike[str],
    samples: str,
    wants: Mapping[str, Wants],
    *,
    options: ReaderOptions | None = None,
    state: Mapping[str, str] | None = None,
    provider: str = "CPUExecutionProvider",
    custom_op_libraries: Sequence[str] = (),
    timeout_s: float = 600.0,
    threads: int | None = None,
    group_bytes: int = GROUP_BYTES,
    fingerprint: str | None = None,
    checkpoint: Path | None = None,
    on_progress: Progress | None = None,
) -> Observation:
    """Run a model on samples and gather statistics of its values.

    Every sample counts. Samples and values are held one sample at a time, so memory does not depend on how many
    samples there are; shapes may vary. Ctrl-C ends it early, with what was gathered.

    Args:
        model: the model, which is not changed, or its file.
        samples: where samples are: see `onnxopt.runtime.readers.opening.open_reader`.
        wants: what to gather, by name of the value: an input, or an output of a node of the main graph or of a
            branch of If in it, of which only samples count that take the branch.
        options: how to read samples; ``options.limit`` of them at most.
        state: output name -> name of the input it is fed back to from sample to sample.
        provider: full provider name.
        custom_op_libraries: shared libraries that register custom operators.
        timeout_s: seconds that loading the model, and each sample, may take.
        threads: of the session and for observing; None for all cores.
        group_bytes: values are observed in passes over the samples, of so many bytes of values at most.
        fingerprint: what tells the model from others; None for `onnxopt.io.identity.identity`.
        checkpoint: file of statistics to write to from time to time and at the end. If it is of a run that was
            not finished, that is gone on with: the samples counted are not counted again.
        on_progress: called at each sample.

    Returns:
        The statistics, and what they lack.

    Raises:
        UsageError: no samples, one that does not fit, an unknown value or state, a checkpoint of another model.
        ModelError: the model does not load, does not run on a sample, crashes or hangs.
        RuntimeMissingError: onnxruntime or Pillow is not installed.
    """
    subject = subject_of(model, samples, options, state)
    chosen = outputs.choose(subject.graph, wants)
    wanted = {name: wants[name] for name in (*chosen.inputs, *chosen.values)}
    if checkpoint is not None and not checkpoint.absolute().parent.is_dir():
        raise ModelError(
            f"cannot write {checkpoint}: the folder {checkpoint.parent} does not exist"
        )
    begun, counted = _begin(wanted, fingerprint or identity(subject.graph), samples, checkpoint)
    with tempfile.TemporaryDirectory(prefix="onnxopt-") as name:
        folder = Path(name)
        job = CalibrationJob(
            model=file_of(model, folder),
            samples=samples,
            options=subject.options.to_json(),
            specs=[spec.to_json() for spec in subject.specs],
            inputs=chosen.inputs,
            values=chosen.values,
            save_to=str(checkpoint.absolute() if checkpoint else folder / "gathered.json"),
            state=subject.state,
            done=counted.done,
            refused=counted.refused,
            provider=provider,
            custom_op_libraries=[os.path.abspath(library) for library in custom_op_libraries],
            group_bytes=group_bytes,
            threads=threads,
            reference=isinstance(model, ir.Model),
        )
        begun.save(folder / STATISTICS)
        job.write(folder)
        ended = run_child(folder, timeout_s, told(on_progress), WORKER, min(timeout_s, GRACE_S))
        return _conclude(ended, Path(job.save_to), begun, chosen.notes)


def _begin(
    wanted: Mapping[str, Wants], fingerprint: str, samples: str, checkpoint: Path | None
) -> tuple[Statistics, Counts]:
    """Empty statistics, or those of an unfinished run with the counts of samples they have had."""
    if checkpoint is None or not counts_path(checkpoint).exists():
        return Statistics(fingerprint, wanted), Counts()
    gathered = files.load(checkpoint)
    remedy = f"delete {counts_path(checkpoint)} to begin anew"
    if gathered.fingerprint != fingerprint:
        raise UsageError(f"{checkpoint}: is of an unfinished run of another model: {remedy}")
    if {name: tensor.wants for name, tensor in gathered.tensors.items()} != dict(wanted):
        raise UsageError(f"{checkpoint}: is of an unfinished run with other options: {remedy}")
    return gathered, read_counts(checkpoint, gathered, samples)


def _conclude(ended: Ended, path: Path, begun: Statistics, notes: list[str]) -> Observation:
    result = result_of(ended)
    gathered = files.load(path) if path.exists() else begun
    finished = bool(result.get("finished"))
    if finished:
        counts_path(path).unlink(missing_ok=True)
    return Observation(gathered, finished, dict(result.get("refused", {})), notes)
