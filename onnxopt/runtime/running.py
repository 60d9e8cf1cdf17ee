"""One provider's part of a validation: the job folder, the child, and what its end means."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from onnxopt.runtime import backends
from onnxopt.runtime.child import Ended, run_child
from onnxopt.runtime.feedio import save_feed
from onnxopt.runtime.job import FEEDS, OVERRIDES, Job
from onnxopt.runtime.validation import OutputResult, ProviderResult, SampleResult, Status

Progress = Callable[[str, str, int], None]
"""Called with provider, stage and sample number."""

_UNSUPPORTED = (
    "NOT_IMPLEMENTED",
    "INVALID_GRAPH",
    "is not a registered function/op",
    "under development and support for this is limited",
    "max supported IR version",
    "No corresponding Numpy type",
    "can't be converted to MLDataType",
    "cannot mix strings",
)


@dataclass
class Request:
    """One validation: what is the same on all providers.

    Attributes:
        job: the job; the provider and backend in it are replaced.
        feeds: the user's samples; empty to generate.
        overrides: values for overridable initializers; empty for none.
        fallback: the reference evaluator may be used where onnxruntime cannot run the reference.
        on_progress: called with provider, stage and sample number.
    """

    job: Job
    feeds: Sequence[Mapping[str, Any]]
    overrides: Mapping[str, Any]
    fallback: bool
    on_progress: Progress | None


def run_on(request: Request, provider: str) -> ProviderResult:
    """Run on one provider; where onnxruntime cannot, on onnx's reference evaluator.

    Args:
        request: what to run.
        provider: full provider name.

    Returns:
        The verdict there.
    """
    job = replace(request.job, provider=provider)
    result = _run(request, job)
    unsupported = any(mark in result.reason for mark in _UNSUPPORTED)
    if result.status != "not-validated" or not unsupported or not request.fallback:
        return result
    again = _run(request, replace(job, backend=backends.REFERENCE))
    if again.status == "not-validated":
        result.reason += f"; nor does the reference evaluator run it: {again.reason}"
        return result
    again.notes.insert(
        0,
        "compared with onnx's reference evaluator, because onnxruntime cannot run the original:"
        f" {result.reason}",
    )
    return again


def _run(request: Request, job: Job) -> ProviderResult:
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="onnxopt-") as name:
        folder = Path(name)
        for sub, feeds in ((FEEDS, request.feeds), (OVERRIDES, [request.overrides])):
            (folder / sub).mkdir()
            for index, feed in enumerate(feeds):
                save_feed(feed, folder / sub, index)
        job.write(folder)

        def progress(stage: str, sample: int) -> None:
            if request.on_progress is not None:
                request.on_progress(job.provider, stage, sample)

        ended = run_child(folder, job.timeout_s, progress)
    result = _interpret(ended, job)
    result.seconds = time.monotonic() - begun
    return result


def _interpret(ended: Ended, job: Job) -> ProviderResult:
    """A child's end as a result: trouble with the candidate is a failure, any other is not."""
    found = None if ended.result is None else _parse(ended.result)
    if found is not None and not ended.trouble:
        return found
    if found is not None:  # it ended badly while measuring noise, after the comparison
        found.notes.append(f"the original's own noise was not measured: {ended.trouble}")
        return found
    phase = ended.stage.split("-")[0]
    who = {"candidate": "the candidate", "reference": "the original"}.get(phase, "the runtime")
    where = f" on sample {ended.sample}" if ended.stage.endswith("run") else " while loading"
    status: Status = "failed" if phase == "candidate" else "not-validated"
    reason = f"{who}{where if ended.stage else ''}: {ended.trouble}"
    return ProviderResult(job.provider, status, reason, job.backend)


def _parse(data: dict[str, Any]) -> ProviderResult:
    outputs = [OutputResult(**output) for output in data["outputs"]]
    samples = [SampleResult(**sample) for sample in data["samples"]]
    return ProviderResult(**{**data, "outputs": outputs, "samples": samples})
