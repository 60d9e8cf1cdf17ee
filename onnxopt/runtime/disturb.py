"""The third phase of a validation: measuring the original's noise floor where the candidate is suspect.

The original is run again at other optimisation levels and with perturbed inputs, one way after the
other, only while something is left that may still be excused.
"""

from __future__ import annotations

from typing import Any

from onnxopt.runtime.backends import Backend, Runnable
from onnxopt.runtime.compare import OutputDiff, leaves
from onnxopt.runtime.job import Job
from onnxopt.runtime.noise import NoiseFloor, Pool, perturb
from onnxopt.runtime.phases import Progress, Reference, Run
from onnxopt.runtime.sessions import Level
from onnxopt.runtime.source import Source
from onnxopt.runtime.tolerance import family

_HOPELESS = 1000.0

# How the original is disturbed: optimisation level, and how many perturbed inputs (0: as they are).
_DISTURBANCES: tuple[tuple[Level, int], ...] = (
    ("default", 0),
    ("disabled", 3),
    ("extended", 0),
    ("basic", 0),
)


def measure_noise(
    job: Job, backend: Backend, source: Source, reference: Reference, progress: Progress
) -> None:
    """Measure the original's own noise on the samples where the candidate is suspect.

    One way of disturbing it after the other, only while something is left that may be excused.
    """
    if job.rtol is not None or job.atol is not None:
        return  # the user's own tolerance is the last word
    _prepare_floors(reference.runs)
    for level, perturbations in _DISTURBANCES:
        suspect = [run for run in reference.runs if not _excused(run, job.exact)]
        if not suspect or any(_is_hopeless(run) for run in suspect):
            return
        progress("noise-load", 0)
        model = backend.open(job.reference, level=level, seed=1)
        for number, run in enumerate(reference.runs):
            if not run.floors:
                continue
            progress("noise-run", number)
            _disturb(run, model, source.feed(run.sample), perturbations, job.working_type)
        del model


def _prepare_floors(runs: list[Run]) -> None:
    """A floor for each suspect output; for exact types on all samples, as their rate is pooled."""
    pools: dict[str, Pool] = {}
    for run in runs:
        for diff in run.diffs:
            if _measurable(diff) and family(diff.dtype) is None:
                pools[diff.name] = Pool()
    for run in runs:
        flat = leaves(run.outputs)
        for diff in run.diffs:
            if diff.name in pools or _measurable(diff):
                run.floors[diff.name] = NoiseFloor(flat[diff.name], pools.get(diff.name))


def _excused(run: Run, exact: bool) -> bool:
    """Nothing is left to measure: every suspect output is excused, or none can be."""
    wanting = [d for d in run.diffs if _measurable(d)]
    return all(
        run.floors[d.name].excuses(d, run.suspects.get(d.name), exact=exact) for d in wanting
    )


def _is_hopeless(run: Run) -> bool:
    """Some output is so far above its noise that no further disturbance can excuse it."""
    return any(
        0 < _HOPELESS * run.floors[d.name].worst.rms < d.figures.rms
        for d in run.diffs
        if d.name in run.floors
    )


def _measurable(diff: OutputDiff) -> bool:
    return not diff.ok and (not diff.problem or diff.problem.startswith("shape "))


def _disturb(
    run: Run, model: Runnable, feed: dict[str, Any], perturbations: int, precision: str | None
) -> None:
    """Run on the feed itself, or on so many perturbed versions of it."""
    feeds = (
        [perturb(feed, seed, precision) for seed in range(perturbations)]
        if perturbations
        else [feed]
    )
    for disturbed in feeds:
        if disturbed is None:  # no floating-point input
            return
        try:
            flat = leaves(model.run(disturbed))
        except Exception:  # a disturbed run that fails says nothing about the candidate
            continue
        for name, floor in run.floors.items():
            if flat.get(name) is not None:
                floor.add(flat[name])
