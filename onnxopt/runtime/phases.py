"""The first two phases of a validation: the reference, then the candidate (`disturb` is the third).

Each opens its sessions one after the other and lets go of them before the next begins.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from onnxopt.runtime.backends import Backend, Runnable
from onnxopt.runtime.compare import OutputDiff, compare_outputs, leaves
from onnxopt.runtime.job import Job
from onnxopt.runtime.noise import NoiseFloor
from onnxopt.runtime.providers import CPU
from onnxopt.runtime.retyped import shortened, widened
from onnxopt.runtime.sessions import Level, one_line
from onnxopt.runtime.source import Sample, Source, shapes_of

Progress = Callable[[str, int], None]
_MIN_SAMPLES = 2


class PhaseError(Exception):
    """A phase cannot go on; the message is the reason in one line."""


@dataclass
class Run:
    """One sample and what the reference returned for it.

    Attributes:
        sample: the sample.
        shapes: input name -> shape.
        outputs: output name -> value.
        seconds: duration of the reference's run.
        diffs: the candidate's differences, once it has run.
        suspects: leaf -> the candidate's value, where it exceeded its tolerance.
        floors: leaf -> noise floor, where it was measured.
    """

    sample: Sample
    shapes: dict[str, Any]
    outputs: dict[str, Any]
    seconds: float
    diffs: list[OutputDiff] = field(default_factory=list)
    suspects: dict[str, Any] = field(default_factory=dict)
    floors: dict[str, NoiseFloor] = field(default_factory=dict)


@dataclass
class Reference:
    """Result of the reference phase."""

    runs: list[Run] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    unstable: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    cut_short: bool = False


def run_reference(job: Job, backend: Backend, source: Source, progress: Progress) -> Reference:
    """Run the original, graph optimisations off, on every sample it accepts.

    Raises:
        PhaseError: it does not load, or runs on no sample.
    """
    result = _first_pass(job, backend, source, progress)
    if not result.runs:
        why = result.refused[0] if result.refused else "there are no samples"
        raise PhaseError(f"the original runs on no input: {why}")
    if job.randomness == "random":
        _random_passes(job, backend, source, result)
    return result


def _first_pass(job: Job, backend: Backend, source: Source, progress: Progress) -> Reference:
    progress("reference-load", 0)
    try:
        model = backend.open(job.reference, level="disabled", seed=1)
    except Exception as error:
        raise PhaseError(f"the original does not load: {one_line(error)}") from error
    result = Reference(outputs=model.outputs, inputs=model.inputs)
    begun = time.monotonic()
    for sample in source:
        if _out_of_time(job, result, source.generated, time.monotonic() - begun):
            result.cut_short = True
            break
        progress("reference-run", len(result.runs))
        run = _try(model, source, sample, result.refused)
        if run is not None:
            source.accept(sample)
            result.runs.append(run)
    repeatable = job.randomness == "none" and job.provider == CPU
    if result.runs and not repeatable and job.randomness != "random":
        _mark_unstable(result, result.runs[0], model.run(source.feed(result.runs[0].sample)))
    return result


def _try(model: Runnable, source: Source, sample: Sample, refused: list[str]) -> Run | None:
    try:
        feed = source.feed(sample)
        begun = time.monotonic()
        outputs = model.run(feed)
        return Run(sample, shapes_of(feed), outputs, time.monotonic() - begun)
    except Exception as error:
        refused.append(f"{sample.label}: {one_line(error)}")
        return None


def _out_of_time(job: Job, result: Reference, generated: bool, elapsed: float) -> bool:
    """Generated samples end with the budget; any sample that would overrun the limit is left."""
    if not result.runs:
        return elapsed > job.timeout_s / 2
    if elapsed + 2 * max(run.seconds for run in result.runs) > job.timeout_s:
        return True
    return generated and len(result.runs) >= _MIN_SAMPLES and elapsed > job.budget_s


def _random_passes(job: Job, backend: Backend, source: Source, result: Reference) -> None:
    """Find the outputs that depend on unseeded randomness.

    Random operators take their seed from the runtime unless they have their own, and draw on with
    every run. So all samples are run again, in order, in fresh sessions with two different seeds:
    what differs cannot be compared. What agrees comes from a seed in the model, and the candidate,
    which runs the same samples in the same order, must reproduce it.
    """
    for seed in (1, 2):
        model = backend.open(job.reference, level="disabled", seed=seed)
        for run in result.runs:
            outputs = model.run(source.feed(run.sample))
            if seed == 1:
                run.outputs = outputs
            else:
                _mark_unstable(result, run, outputs)
        del model


def _mark_unstable(result: Reference, run: Run, outputs: dict[str, Any]) -> None:
    for diff in compare_outputs(run.outputs, outputs):
        if not diff.ok:
            result.unstable.add(diff.name.split("[")[0])


def run_candidate(
    job: Job, backend: Backend, source: Source, reference: Reference, progress: Progress
) -> None:
    """Run the candidate, with default session options unless asked, and note its differences.

    Raises:
        PhaseError: it does not load, has another interface, or fails on a sample.
    """
    progress("candidate-load", 0)
    try:
        level: Level = "disabled" if job.as_written else "default"
        model = backend.open(job.candidate, level=level, seed=1)
    except Exception as error:
        raise PhaseError(f"the candidate does not load: {one_line(error)}") from error
    _check_interface(reference, model)
    accepted = {*model.inputs, *model.overridable}
    for number, run in enumerate(reference.runs):
        progress("candidate-run", number)
        feed = source.feed(run.sample)
        if run.sample.overriding and not set(feed) <= accepted:
            continue  # its initializers are frozen: there is nothing to override
        try:
            outputs = model.run(feed if job.working_type is None else shortened(feed, model.types))
        except Exception as error:
            raise PhaseError(
                f"the candidate fails on {run.sample.label}: {one_line(error)}"
            ) from error
        if job.working_type is not None:
            outputs = widened(outputs, run.outputs)
        _judge(job, run, outputs, reference.unstable)


def _check_interface(reference: Reference, model: Runnable) -> None:
    if model.outputs != reference.outputs:
        raise PhaseError(f"the outputs are {model.outputs}, were {reference.outputs}")
    if model.inputs != reference.inputs:
        raise PhaseError(f"the inputs are {model.inputs}, were {reference.inputs}")


def _judge(job: Job, run: Run, outputs: dict[str, Any], unstable: set[str]) -> None:
    stable = {name: value for name, value in run.outputs.items() if name not in unstable}
    run.diffs = compare_outputs(
        stable,
        outputs,
        rtol=job.rtol,
        atol=job.atol,
        exact=job.exact,
        precision=job.precision,
        converted=job.working_type is not None,
    )
    if job.lossy and job.rtol is None and job.atol is None:
        for diff in run.diffs:
            diff.similar_is_enough = True
    suspects = {diff.name for diff in run.diffs if not diff.ok}
    if suspects:
        flat = leaves(outputs)
        run.suspects = {name: flat.get(name) for name in suspects}
