"""The child process: runs both models and writes the verdict (``python -m onnxopt.runtime.worker``).

It alone loads onnxruntime for validation, so a crash or a hang inside a model ends this process only.
Each step is noted in the job folder first, so that the parent can tell where it ended.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from onnxopt.errors import OnnxoptError
from onnxopt.runtime import cache, inside
from onnxopt.runtime.backends import Backend
from onnxopt.runtime.disturb import measure_noise
from onnxopt.runtime.job import PROGRESS, Job
from onnxopt.runtime.phases import (
    PhaseError,
    Progress,
    Reference,
    run_candidate,
    run_reference,
)
from onnxopt.runtime.sessions import one_line
from onnxopt.runtime.source import Source, make_source
from onnxopt.runtime.validation import ProviderResult
from onnxopt.runtime.verdict import conclude


def execute(job: Job, folder: Path) -> ProviderResult:
    """Run a job to its end.

    Args:
        job: what to run.
        folder: the job folder.

    Returns:
        The verdict on this provider; nothing a model does raises.
    """
    backend = Backend(job.backend, job.provider, job.custom_op_libraries, job.threads)
    source = make_source(job, folder)
    progress = inside.Steps(folder / PROGRESS)
    reference = Reference()
    try:
        reference = _reference(job, folder, backend, source, progress)
    except PhaseError as error:
        return _ended(job, backend, reference, "not-validated", str(error))
    try:
        run_candidate(job, backend, source, reference, progress)
    except PhaseError as error:
        return _ended(job, backend, reference, "failed", str(error))
    result = conclude(job, reference)
    result.versions = backend.versions()
    if result.status == "failed":
        inside.write_result(folder, asdict(result))  # should measuring the noise crash, this stands
        try:
            measure_noise(job, backend, source, reference, progress)
        except Exception as error:  # the original fails under default options
            result.notes.append(f"the original's own noise was not measured: {one_line(error)}")
            return result
        result = conclude(job, reference)
        result.versions = backend.versions()
    return result


def _reference(
    job: Job, folder: Path, backend: Backend, source: Source, progress: Progress
) -> Reference:
    """What the reference returned: remembered from an earlier validation, or by running it."""
    if job.cache is None:
        return run_reference(job, backend, source, progress)
    store = cache.Store(Path(job.cache), job, folder)
    known = store.load()
    if known is None:
        known = run_reference(job, backend, source, progress)
        with suppress(OSError):  # remembering saves time only; a full disk must not end the run
            store.save(known)
    return known


def _ended(
    job: Job, backend: Backend, reference: Reference, status: Any, reason: str
) -> ProviderResult:
    result = conclude(job, reference)
    result.status, result.reason = status, reason
    result.versions = backend.versions()
    return result


def main() -> int:
    """Run the job whose folder is the only argument; returns the exit status."""
    folder = Path(sys.argv[1])
    inside.die_with_parent(folder)
    begun = time.monotonic()
    job = Job.read(folder)
    try:
        result = execute(job, folder)
    except (OnnxoptError, MemoryError) as error:
        reason = one_line(error) if str(error) else "out of memory"
        result = ProviderResult(job.provider, "not-validated", reason, job.backend)
    result.seconds = time.monotonic() - begun
    inside.write_result(folder, asdict(result))
    return inside.leave()


if __name__ == "__main__":
    sys.exit(main())
