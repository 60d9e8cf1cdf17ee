"""Level 3: what the target leaves to choose is decided by measuring, or by what was measured before."""

from __future__ import annotations

import importlib.util
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ..analysis.fingerprint import fingerprint
from ..errors import RuntimeMissingError, UsageError
from .aim import aim
from .budget import Budget
from .choices import Arena, Choice, Descent, Entrant
from .decision import Decision, Whole
from .machine import describe
from .options import Options
from .race import MIN_ROUNDS
from .result import census
from .timings import Subject, check_place, read, write
from .track import Task, Track
from .verify import gather

if TYPE_CHECKING:
    import onnx_ir as ir

    from ..targets.target import Target

_OTHER_RACES = 2  # all that was switched off together, and the result against the original


def decide(task: Task) -> Decision | None:
    """Decides how to build a model.

    Args:
        task: The model and how to optimise it.

    Returns:
        How to build; None where nothing is to be measured: below level 3, with a pipeline of the user's own, for a
        target without a provider.

    Raises:
        UsageError: The file of timings does not fit, or there is nothing that it could be used for.
        RuntimeMissingError: The target's provider is not installed, and there are no timings.
        ModelError: The file of timings cannot be written.
    """
    options = task.options
    target = aim(options.target).target
    path = None if options.timings is None else Path(options.timings)
    if options.level < 3 or options.passes is not None:
        return None
    if not target.providers:
        if path is not None:
            raise UsageError(f"target {target.name} has nothing to time: choose one with --target")
        return None
    model = _with_interface(task)
    subject = Subject.of(fingerprint(model), census(model).nodes, target, options.disable)
    if path is not None and path.exists() and not path.is_dir():
        return read(path, subject, describe())
    provider = _provider(target)
    if path is not None:
        output = [] if task.output is None else [task.output]
        check_place(path, [*task.origin.files(), *output])
    options.stage("measuring")
    decision = _measure(task, model, target, provider)
    if path is not None and decision.sample:
        write(path, subject, decision)
    return decision


def _with_interface(task: Task) -> ir.Model:
    """The original with the interface the user asked for; samples fit it, and timings are of it."""
    from .compile import run_pipeline

    if not task.steps.interface:
        return task.origin.peek()
    return run_pipeline(task.origin, task.steps.interface, task.options, quiet=True).model


def _provider(target: Target) -> str:
    """The provider to time on."""
    if importlib.util.find_spec("onnxruntime") is None:
        raise RuntimeMissingError(
            "onnxruntime is not installed, and -O3 measures with it; install onnxopt[cpu] or "
            "onnxopt[cuda], or give the timings of an earlier build with --timings"
        )
    from ..runtime.providers import resolve

    try:
        return resolve(target.providers)[0]
    except RuntimeMissingError as error:
        raise RuntimeMissingError(
            f"target {target.name}: -O3 has to measure, and {error}; "
            "or give the timings of an earlier build with --timings"
        ) from None


def _measure(task: Task, model: ir.Model, target: Target, provider: str) -> Decision:
    from ..runtime.stopwatch import CannotTime, Stopwatch

    options = task.options
    races = sum(len(found) for found in target.choices.values()) + _OTHER_RACES
    budget = Budget(options.measure_budget, races, MIN_ROUNDS)
    limit = min(options.timeout, options.measure_budget)
    with Stopwatch(provider, options.custom_op_libraries, limit) as watch, ExitStack() as stack:
        track = Track(task, watch, budget, stack)
        original = track.original(model)
        samples = gather(model, options.feeds, options.inputs)
        try:
            sample = watch.pick_sample(track.file(original), samples)
        except CannotTime as error:
            return Decision(_defaults(target), notes=[f"nothing was measured: {error}"])
        decision = run_races(track, original, target, options)
    decision.sample = sample
    decision.machine = describe(provider)
    return decision


def _defaults(target: Target) -> list[Choice]:
    """What holds of tentative choices where nothing was measured."""
    return [
        Choice(name, "off", off=off, why="not measured", default=off)
        for name, off in target.unmeasured.items()
    ]


def run_races(track: Arena, original: Entrant, target: Target, options: Options) -> Decision:
    """Goes through the target's choices, then times the result against the original."""
    unmeasured = target.unmeasured
    start = track.build(frozenset().union(*unmeasured.values()))
    descent = Descent(track, start)
    for name, alternatives in target.choices.items():
        descent.settle(name, alternatives, options.disable, tentative=name in unmeasured)
    if sum(1 for choice in descent.choices if choice.changed) > 1:
        if track.race(start, descent.best, "all choices together").verdict == "slower":
            descent.revert(start)
    else:
        track.skip()
    return Decision(descent.choices, _against(track, original, descent.best, options))


def _against(track: Arena, original: Entrant, best: Entrant, options: Options) -> Whole:
    if original.identity == best.identity:
        return Whole(verdict="alike", why="nothing was rewritten")
    race = track.race(original, best, "the result against the original")
    # A result that does not run is for the validation to repair, if there will be one.
    kept = race.verdict != "slower" or (race.broken == 1 and options.validate)
    who = {0: "the original does not run: ", 1: "the result does not run: "}
    why = f"{who.get(-1 if race.broken is None else race.broken, '')}{race.reason}"
    times = race.times() or (None, None)
    noise = race.noise if len(race.rounds) > 1 else None
    return Whole(race.ratio, race.verdict, noise, len(race.rounds), times[0], times[1], kept, why)
