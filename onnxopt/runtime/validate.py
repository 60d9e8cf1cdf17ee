"""Validation: does the candidate compute what the reference computes, on the user's runtime?

Both models run in a child process with a time limit, so a crash or a hang is a reported result: of
the reference it means *not validated*, of the candidate alone *failed*.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxopt.errors import UsageError
from onnxopt.runtime import providers as provider_names
from onnxopt.runtime.inputs import DEFAULT_SAMPLES, GeneratedFeeds
from onnxopt.runtime.job import Job
from onnxopt.runtime.running import Progress, Request, run_on
from onnxopt.runtime.tolerance import coarser
from onnxopt.runtime.validation import ProviderResult, Status, Validation

if TYPE_CHECKING:
    import onnx_ir as ir

Path_ = str | os.PathLike[str]


def validate(
    reference: Path_,
    candidate: Path_,
    *,
    feeds: Sequence[Mapping[str, Any]] | None = None,
    model: ir.Model | None = None,
    providers: Sequence[str] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    timeout_s: float = 600.0,
    custom_op_libraries: Sequence[Path_] = (),
    exact: bool = False,
    working_type: str | None = None,
    lossy: bool = False,
    as_written: bool = False,
    samples: int = DEFAULT_SAMPLES,
    seed: int = 0,
    budget_s: float = 10.0,
    threads: int | None = None,
    cache: Path_ | None = None,
    on_progress: Progress | None = None,
) -> Validation:
    """Run a candidate against its reference and compare every output.

    Args:
        reference: the original model's file; it runs with graph optimisations off.
        candidate: the file under test; it runs with default session options.
        feeds: samples, input name -> array; all are run. None, or what `inputs.generate` returned,
            means generated ones, whose sizes the reference decides.
        model: the reference, already loaded (its weights are not read); loaded when needed if None.
        providers: short or full names; None for CPU, and CUDA where present.
        rtol: relative tolerance per element. Given it or ``atol``, that tolerance alone decides.
        atol: absolute tolerance per element.
        timeout_s: time limit of each phase, in seconds.
        custom_op_libraries: shared libraries that register custom operators.
        exact: only bit-exact rewrites were applied: tolerances are tighter.
        working_type: the shorter float type the candidate was converted to, such as ``float16``: its tolerance
            applies, and its inputs and outputs may be of that type.
        lossy: the candidate was quantised: float outputs pass that are finite where the reference's are and point the
            same way (`compare.LEAST_COSINE`), and others of the same type and shape. Given ``rtol`` or ``atol``,
            that tolerance alone decides.
        as_written: run the candidate with graph optimisations off, so that every rounding in it takes place.
        samples: how many samples to generate.
        seed: seed of generated samples.
        budget_s: seconds after which no further generated sample is begun (two are always run).
        threads: intra-op threads; None for all cores.
        cache: a folder (the caller's, to delete) that remembers what the reference returned, for
            validating several candidates against one reference on the same inputs.
        on_progress: called with provider, stage and sample number.

    Returns:
        The verdict; whatever the models do, nothing is raised for it.

    Raises:
        UsageError: an unknown provider, an empty list of feeds, a missing custom operator library.
        ModelError: ``model`` is None and the reference cannot be read.
        RuntimeMissingError: onnxruntime or a provider asked for is not installed.
    """
    begun = time.monotonic()
    names = provider_names.resolve(providers)
    job = Job(
        _absolute(reference),
        _absolute(candidate),
        names[0],
        samples=samples,
        seed=seed,
        rtol=rtol,
        atol=atol,
        exact=exact,
        working_type=working_type,
        lossy=lossy,
        as_written=as_written,
        custom_op_libraries=_libraries(custom_op_libraries),
        budget_s=budget_s,
        timeout_s=timeout_s,
        threads=threads,
        cache=None if cache is None else _absolute(cache),
    )
    request = _prepare(job, feeds, model, on_progress)
    results = [run_on(request, name) for name in names]
    validation = _verdict(results, job)
    validation.seconds = time.monotonic() - begun
    return validation


def compare(
    reference: Path_,
    candidate: Path_,
    *,
    feeds: Sequence[Mapping[str, Any]] | None = None,
    model: ir.Model | None = None,
    other: ir.Model | None = None,
    **options: Any,
) -> Validation:
    """Tell whether two models are numerically the same on each provider.

    Args:
        reference: file of the model taken as the reference; runs with graph optimisations off.
        candidate: file of the other; runs with default session options.
        feeds: samples; None to generate them.
        model: the reference, already loaded; loaded if None.
        other: the candidate, already loaded; loaded if None.
        **options: as for `validate`.

    Returns:
        The verdict: failed without running anything where the interfaces differ.
    """
    from onnxopt.runtime.interface import differences
    from onnxopt.runtime.modelfacts import precision

    model = _load(_absolute(reference)) if model is None else model
    other = _load(_absolute(candidate)) if other is None else other
    wrong, remarks = differences(model, other)
    if wrong:
        return Validation("failed", f"the interfaces differ: {'; '.join(wrong)}", remarks=remarks)
    mine, theirs = precision(model), precision(other)
    if theirs != mine and theirs == coarser(mine, theirs):
        options["working_type"] = theirs
    validation = validate(reference, candidate, feeds=feeds, model=model, **options)
    validation.remarks += remarks
    return validation


def _prepare(
    job: Job,
    feeds: Sequence[Mapping[str, Any]] | None,
    model: ir.Model | None,
    on_progress: Progress | None,
) -> Request:
    from onnxopt.runtime.modelfacts import Traits

    if feeds is not None and not len(feeds) and not isinstance(feeds, GeneratedFeeds):
        raise UsageError("the list of feeds is empty: give samples, or None to generate them")
    given = feeds
    if given is None or isinstance(given, GeneratedFeeds):
        plan = _generation(job, given, model)
        job.samples, job.seed = plan.samples, plan.seed
        job.specs = [spec.to_json() for spec in plan.specs]
        traits, given, extra = plan.traits, [], plan.traits.overrides
    else:
        traits, extra = Traits.of(model or _load(job.reference)), {}
    job.feed_count, job.overrides = len(given), bool(extra)
    job.randomness = traits.randomness
    job.precision = coarser(traits.precision, job.working_type)
    return Request(job, given, extra, traits.small, on_progress)


def _generation(job: Job, given: GeneratedFeeds | None, model: ir.Model | None) -> GeneratedFeeds:
    """The specs to generate from; the child draws the arrays."""
    from onnxopt.runtime.modelfacts import Traits
    from onnxopt.runtime.trace import input_specs

    if given is not None:
        return given
    model = _load(job.reference) if model is None else model
    return GeneratedFeeds(input_specs(model), job.samples, job.seed, Traits.of(model, job.seed))


def _load(path: str) -> ir.Model:
    from onnxopt.io import load

    return load(path)


def _verdict(results: list[ProviderResult], job: Job) -> Validation:
    """Failed anywhere is failed; else not validated anywhere is not validated."""
    from onnxopt import __version__

    status: Status = "passed"
    reason = ""
    for wanted in ("not-validated", "failed"):
        for result in results:
            if result.status == wanted:
                status = result.status
                on = f"{result.provider}: " if len(results) > 1 else ""
                reason = on + result.reason
                break
    versions = {
        "onnxopt": __version__,
        "python": platform.python_version(),
        "numpy": str(np.__version__),
    }
    for result in results:
        versions.update(result.versions)
    return Validation(status, reason, results, job.rtol, job.atol, job.exact, versions)


def _absolute(path: Path_) -> str:
    return os.path.abspath(os.fspath(path))


def _libraries(paths: Sequence[Path_]) -> list[str]:
    for path in paths:
        if not os.path.isfile(path):
            raise UsageError(f"custom operator library {os.fspath(path)!r} does not exist")
    return [_absolute(path) for path in paths]
