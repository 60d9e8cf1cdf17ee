"""Optimising one model: plan, rewrite, validate, repair, write."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import onnx_ir as ir

from ..errors import MismatchError, ModelError, RuntimeMissingError
from ..io.pause import collector_paused
from ..pipeline.base import Evaluate
from ..pipeline.instruments import Instrument, PrintAfter, VerifyEach
from ..pipeline.manager import Manager, Outcome, Settings
from .aim import aim, aimed, placed
from .measuring import decide
from .options import Options
from .plan import Plan, check_print_after, plan
from .repair import Repair
from .result import Census, Result, census
from .room import lack_of_memory
from .staging import Origin, Stage, check_output
from .track import Task
from .verify import Verifier, check_samples_exist

if TYPE_CHECKING:
    from .staging import Source


Repairer = Callable[[Origin, Plan, Options, Stage, Verifier], Repair]


def optimise(
    source: Source, output: Path | None, options: Options, repairer: Repairer = Repair
) -> Result:
    """Optimises a model and, where an output is given, writes the result there.

    Args:
        source: The model.
        output: Where to write the result; None keeps it in memory.
        options: What to do and how to check it.
        repairer: What mends a result that does not match.

    Raises:
        OnnxoptError: As the command line's exit codes say; nothing is written then.
    """
    options = aimed(options)
    steps = plan(options)
    check_print_after(steps, options)
    origin = Origin(source)
    options = placed(options, origin.size())
    if output is not None:
        check_output(origin, output)
    if options.validate:
        require_runtime(options.providers)
        check_samples_exist(options)
    before = census(origin.peek(), origin.size())
    with Stage(output) as stage:
        job = _Job(origin, steps, options, stage, repairer)
        return job.run(output, before)


class _Job:
    """One optimisation on its way through the stages."""

    def __init__(
        self,
        origin: Origin,
        steps: Plan,
        options: Options,
        stage: Stage,
        repairer: Repairer,
    ) -> None:
        self._repairer = repairer
        self._origin = origin
        self._steps = steps
        self._options = options
        self._stage = stage
        self._clock = _Clock()

    def run(self, output: Path | None, before: Census) -> Result:
        """Measures if need be, rewrites, writes a candidate, validates it, and publishes it."""
        decision = decide(Task(self._origin, self._steps, self._options, output))
        if decision is not None:
            self._steps, self._options = decision.applied(self._steps, self._options)
            self._clock.lap("measure")
        self._options.stage("optimising")
        outcome = _run_soundly(self._origin, self._steps.text, self._options)
        self._clock.lap("optimise")
        result = Result(
            model=outcome.model,
            stats=outcome.stats,
            validation=None,
            before=before,
            after=before,
            pipeline=self._steps.text,
            origin=self._origin,
            measured=decision,
        )
        _adopt(result, outcome)
        if output is not None or self._options.validate:
            self._options.stage("writing")
            candidate = self._stage.write(outcome.model, self._options.external_data)
            self._clock.lap("write")
            if self._options.validate:
                self._validate(result, outcome, candidate)
        if output is not None:
            size = sum(f.stat().st_size for f in self._stage.folder.iterdir())
            result.after = dataclasses.replace(result.after, bytes=size)
            self._stage.publish()
            result.output = str(output)
        result.seconds = self._clock.laps
        return result

    def _validate(self, result: Result, outcome: Outcome, candidate: Path) -> None:
        reason = lack_of_memory(self._origin.size())
        if reason and not self._options.require_validation:
            from ..runtime.validation import Validation

            result.validation = Validation("not-validated", reason)
            return
        self._options.stage("validating")
        verifier = Verifier(self._origin, self._options)
        repair = self._repairer(self._origin, self._steps, self._options, self._stage, verifier)
        last = repair.until_valid(outcome, candidate)
        result.validation, result.left_out = repair.validation, repair.left_out
        result.kept, result.pipeline = repair.kept, repair.pipeline
        if last is not outcome:
            _adopt(result, last)
        self._clock.lap("validate")
        _refuse_unverified(result, self._origin, self._options)


def _run_soundly(origin: Origin, pipeline: str, options: Options) -> Outcome:
    """Runs a pipeline; where the result is broken, again without the pass that broke it."""
    from ..io import check_structure

    outcome = run_pipeline(origin, pipeline, options)
    try:
        check_structure(outcome.model, origin.label)
    except ModelError:
        careful = dataclasses.replace(options, verify_each=True, print_after=())
        outcome = run_pipeline(origin, pipeline, careful)
        check_structure(outcome.model, origin.label)
    return outcome


def run_pipeline(
    origin: Origin,
    pipeline: str,
    options: Options,
    *,
    banned: Sequence[str] = (),
    limit: int | None = None,
    quiet: bool = False,
) -> Outcome:
    """Runs a pipeline over the original, without the rewrites in ``banned``."""
    aiming = aim(options.target)
    settings = Settings(
        disabled=options.disable,
        banned=frozenset(banned),
        limit=options.bisect_limit if limit is None else limit,
        evaluate=evaluator(),
        target=aiming.target,
        observe=options.observe,
        grams=options.grams,
        instruments=() if quiet else _instruments(options),
        reproduce=None if quiet else functools.partial(_write_reproducer, options),
        label=origin.label,
    )
    with collector_paused():
        outcome = Manager(settings).run(origin.load, pipeline)
    if aiming.note is not None:
        outcome.stats.note(aiming.note)
    return outcome


@functools.cache
def evaluator() -> Evaluate | None:
    """Returns what runs small models for constant folding; None without a runtime."""
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    from ..runtime.evaluate import run_small

    return run_small


def require_runtime(providers: Sequence[str] | None = None) -> None:
    """Makes sure that results can be validated, before any work is done.

    Args:
        providers: The providers asked for by name, if any.

    Raises:
        RuntimeMissingError: onnxruntime, or a provider, is not installed.
        UsageError: There is no provider of such a name.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise RuntimeMissingError(
            "onnxruntime is not installed; install onnxopt[cpu] or onnxopt[cuda], "
            "or leave out validation with --no-validate"
        )
    if providers:
        from ..runtime.providers import resolve

        resolve(providers)


def _adopt(result: Result, outcome: Outcome) -> None:
    result.model, result.stats = outcome.model, outcome.stats
    result.failures, result.records = outcome.failures, outcome.records
    result.sites = outcome.sites
    result.after = census(outcome.model)


def _refuse_unverified(result: Result, origin: Origin, options: Options) -> None:
    validation = result.validation
    assert validation is not None
    if validation.status == "failed":
        raise MismatchError(
            f"{origin.label}: the {options.result} model does not match and could not be repaired: "
            f"{validation.reason}",
            result,
        )
    if result.left_out and validation.status != "passed":
        raise MismatchError(
            f"{origin.label}: the {options.result} model did not match, and without the rewrites to blame "
            f"it could not be validated: {validation.reason}",
            result,
        )
    if options.require_validation and validation.status != "passed":
        raise MismatchError(f"{origin.label}: not validated: {validation.reason}", result)


def _instruments(options: Options) -> list[Instrument]:
    found: list[Instrument] = []
    if options.print_after and options.emit is not None:
        found.append(PrintAfter(options.print_after, options.emit))
    if options.verify_each:
        found.append(VerifyEach(_blame))
    return found


def _blame(model: ir.Model) -> None:
    """Raises what the manager takes for a failure of the pass, not of the user's model."""
    from ..io import check_structure

    try:
        check_structure(model)
    except ModelError as error:
        raise RuntimeError(f"the pass broke the model: {error}") from error


def _write_reproducer(options: Options, model: ir.Model, name: str, pipeline: str) -> str | None:
    """Keeps the model before a pass that raised; None where there is no room for it."""
    import shlex
    import shutil
    import tempfile

    from ..io import save

    without = [word for item in options.disable for word in ("--disable", item)]
    words = ["onnxopt", "optimize", "model.onnx", "-o", "out.onnx", "--passes", pipeline, *without]
    if options.target != "generic":
        words += ["--target", options.target]
    folder = None
    try:
        folder = Path(tempfile.mkdtemp(prefix=f"onnxopt-{name}-"))
        save(model, folder / "model.onnx")
        (folder / "command.txt").write_text(f"{shlex.join(words)} --debug\n")
    except (OSError, ModelError):
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        return None
    return str(folder)


class _Clock:
    """Wall time by stage."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Ends a stage."""
        now = time.perf_counter()
        self.laps[name] = round(now - self._last, 4)
        self._last = now
