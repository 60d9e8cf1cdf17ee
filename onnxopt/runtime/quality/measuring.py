"""Measuring how close models are to a reference, in a child process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from onnxopt import errors
from onnxopt.errors import ModelError
from onnxopt.runtime.child import Ended, python, run_child
from onnxopt.runtime.quality.figures import Quality
from onnxopt.runtime.quality.job import KEPT_BYTES, LIMIT, QualityJob, Reading

_WORKER = python("onnxopt.runtime.quality.worker")


def measure_quality(
    reference: Path,
    candidates: Sequence[Path],
    reading: Reading,
    *,
    metrics: Sequence[str] = (),
    provider: str = "CPUExecutionProvider",
    timeout_s: float = 600.0,
    custom_op_libraries: Sequence[str] = (),
    limit: int = LIMIT,
    seconds: float = 0.0,
    few: int = 0,
    kept_in: Path | None = None,
    kept_bytes: int = KEPT_BYTES,
    on_progress: Callable[[str, int], None] | None = None,
) -> list[Quality]:
    """Compare models with a reference on the user's samples.

    Args:
        reference: the model they should be like; it runs with default options.
        candidates: the others.
        reading: the samples, and what state is fed back.
        metrics: the user's functions, as ``module:function``, called with the reference's outputs and the candidate's:
            a list of a dict from output name to array for each sample. Larger is better.
        provider: full provider name.
        timeout_s: seconds that a model may take for all samples.
        custom_op_libraries: paths of shared libraries.
        limit: samples at most; at least, where ``seconds`` is given.
        seconds: more samples are run as long as the reference has taken less than this: those of fast models cost little.
        few: candidates run on the first ``few / limit`` of the samples only, at least on ``few``; 0: on all.
        kept_in: folder for what the reference returns: what is there already is read, and the reference does not run. It
            must be of the same reference, samples and metrics. None: it runs each time.
        kept_bytes: bytes of outputs that are kept at most; there are fewer samples where they do not fit.
        on_progress: called with stage (``reference-run``, ``candidate0-run``) and sample number.

    Returns:
        What was found of each candidate, in order; one that does not run has a `failure`.

    Raises:
        UsageError: the samples do not fit the model, or a metric is no function.
        ModelError: the reference does not run.
    """
    if not candidates:
        return []
    job = QualityJob(
        os.path.abspath(reference),
        [os.path.abspath(path) for path in candidates],
        reading.source,
        reading.options.to_json(),
        [spec.to_json() for spec in reading.specs],
        dict(reading.state),
        list(metrics),
        limit,
        seconds,
        few,
        "" if kept_in is None else os.path.abspath(kept_in),
        kept_bytes,
        provider,
        [os.path.abspath(library) for library in custom_op_libraries],
    )
    found: list[Quality] = []
    while len(found) < len(candidates):  # more than once only where a candidate ends the child
        found += _round(
            replace(job, candidates=job.candidates[len(found) :]), timeout_s, on_progress
        )
    return found


def _round(
    job: QualityJob, timeout_s: float, on_progress: Callable[[str, int], None] | None
) -> list[Quality]:
    """Compare in one child until all is done, or a candidate has ended it; at least one is judged."""
    with tempfile.TemporaryDirectory(prefix="onnxopt-") as name:
        job.write(Path(name))
        ended = run_child(Path(name), timeout_s, on_progress, _WORKER)
    result = ended.result or {"found": []}
    if "error" in result:
        kind, message = result["error"]
        raise getattr(errors, kind)(message)
    found = [Quality.from_json(data) for data in result["found"]]
    if len(found) == len(job.candidates):
        return found
    if not ended.stage.startswith(f"candidate{len(found)}-"):
        raise ModelError(f"{_who(job, ended)}: {ended.trouble}")
    return [*found, Quality(job.candidates[len(found)], failure=ended.trouble)]


def _who(job: QualityJob, ended: Ended) -> str:
    return job.reference if ended.stage.startswith("reference") else "comparing models"
