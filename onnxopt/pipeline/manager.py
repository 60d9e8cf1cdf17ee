"""Runs a pipeline. A pass that raises is rolled back, reported with a reproducer, and skipped."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import onnx_ir as ir

from ..errors import OnnxoptError, UnobservedError, UsageError
from ..rewrite.gate import Gate
from ..rewrite.stats import Stats
from ..targets.target import GENERIC, Target
from .base import Context, Evaluate, Grams, Observe, Pass
from .instruments import Instrument, PassRecord, Recorder
from .parse import Call, Repeat, Step, render
from .registry import Registry, installed


@dataclass(frozen=True)
class Failure:
    """A pass that raised and was left out.

    Attributes:
        name: The pass.
        message: What it raised.
        reproducer: Where the model before it and the rest of the pipeline were written, if anywhere.
    """

    name: str
    message: str
    reproducer: str | None = None


@dataclass
class Outcome:
    """What running a pipeline gave.

    Attributes:
        model: The optimised model.
        stats: What rules did and declined.
        sites: Every rewrite, in order.
        records: What each run of each pass did.
        failures: Passes that raised and were left out.
        exact: Whether all passes that changed something keep results bit-identical.
        working_type: The shorter float type that a pass made the model compute in, if any.
        lossy: Whether a pass that changed something changes results by more than rounding.
        details: What passes say of their work beyond counts, by the pass's name.
    """

    model: ir.Model
    stats: Stats
    sites: list[str]
    records: list[PassRecord]
    failures: list[Failure] = field(default_factory=list)
    exact: bool = True
    working_type: str | None = None
    lossy: bool = False
    details: dict[str, Any] = field(default_factory=dict)


@dataclass
class Settings:
    """How to run a pipeline.

    Attributes:
        disabled: Passes and rules to leave out.
        banned: Single rewrites to leave out.
        limit: How many rewrites to make at most.
        evaluate: The runtime, for constant folding.
        target: What the result must run on.
        observe: Runs models on calibration data; None where there is none.
        grams: Gram matrices of values over calibration data, for rounding that needs them.
        instruments: Who watches.
        reproduce: Writes a reproducer for a model, the name of the pass that raised, and the rest of
            the pipeline; returns its place, if it could.
        label: What the model is called in the lines that passes raise; '' to leave it out.
    """

    disabled: Collection[str] = ()
    banned: Collection[str] = ()
    limit: int | None = None
    evaluate: Evaluate | None = None
    target: Target = GENERIC
    observe: Observe | None = None
    grams: Grams | None = None
    instruments: Sequence[Instrument] = ()
    reproduce: Callable[[ir.Model, str, str], str | None] | None = None
    label: str = ""


class _PassRaised(Exception):
    def __init__(self, position: int, calls: int, name: str, cause: Exception) -> None:
        super().__init__(str(cause))
        self.position = position
        self.calls = calls
        self.name = name
        self.cause = cause


class Manager:
    """Runs pipelines over models.

    Args:
        settings: How.
        found: The passes there are; all installed ones by default.
    """

    def __init__(self, settings: Settings, found: Registry | None = None) -> None:
        self._settings = settings
        self._registry = found or installed()

    def run(self, load: Callable[[], ir.Model], pipeline: str) -> Outcome:
        """Runs a pipeline over the model that ``load`` gives.

        Args:
            load: Gives the model as it was; called again to roll back a pass that raised.
            pipeline: The pipeline's text.

        Raises:
            UsageError: The pipeline names what does not exist.
            OnnxoptError: A pass found the request impossible (rather than failing itself).
        """
        steps = self._registry.expand(pipeline, self._settings.disabled)
        failures: list[Failure] = []
        skipped: set[int] = set()
        while True:
            try:
                outcome = self._attempt(load(), steps, skipped)
            except _PassRaised as raised:
                place = self._reproducer(load, steps, skipped, raised)
                skipped.add(raised.position)
                message = f"{type(raised.cause).__name__}: {raised.cause}"
                failures.append(Failure(raised.name, message, place))
                continue
            outcome.failures = failures
            return outcome

    def _attempt(
        self,
        model: ir.Model,
        steps: Sequence[Step],
        skipped: Collection[int],
        stop: int | None = None,
    ) -> Outcome:
        watchers = self._settings.instruments if stop is None else ()
        gate = Gate(self._settings.limit, self._settings.banned)
        settings = self._settings
        context = Context(
            model,
            gate,
            Stats(),
            settings.evaluate,
            settings.target,
            settings.observe,
            settings.grams,
        )
        recorder = Recorder()
        run = _Run(self, context, [recorder, *watchers], skipped, stop)
        run.steps(steps, 0)
        return Outcome(
            context.model,
            context.stats,
            gate.log,
            recorder.records,
            exact=run.exact,
            working_type=run.working_type,
            lossy=run.lossy,
            details=context.details,
        )

    def make(self, call: Call) -> Pass:
        """Builds the pass a step names, without the rules that are disabled."""
        return self._registry.make(call, self._settings.disabled)

    def name_model(self, error: UsageError) -> None:
        """Has the line of an error that a pass raised begin with the model that it is about; those of statistics name their files."""
        label = self._settings.label
        if (
            label
            and not isinstance(error, UnobservedError)
            and not str(error).startswith(f"{label}: ")
        ):
            error.args = (f"{label}: {error}",)

    def _reproducer(
        self,
        load: Callable[[], ir.Model],
        steps: Sequence[Step],
        skipped: set[int],
        raised: _PassRaised,
    ) -> str | None:
        """Runs again up to the very call that raised, and has the model as it was there kept."""
        if self._settings.reproduce is None:
            return None
        before = self._attempt(load(), steps, skipped, stop=raised.calls).model
        rest = [c for p, c in _positions(steps, 0) if p >= raised.position]
        return self._settings.reproduce(before, raised.name, render(tuple(rest)))


class _Run:
    """One run through a pipeline.

    Positions number the steps as written, so that one can be skipped; ``stop`` counts the calls made,
    since those in a group that repeats are made several times.
    """

    def __init__(
        self,
        manager: Manager,
        context: Context,
        instruments: Sequence[Instrument],
        skipped: Collection[int],
        stop: int | None,
    ) -> None:
        self._manager = manager
        self._context = context
        self._instruments = instruments
        self._skipped = skipped
        self._stop = stop
        self._stopped = False
        self._calls = 0
        self.exact = True
        self.working_type: str | None = None
        self.lossy = False

    def steps(self, steps: Sequence[Step], position: int) -> tuple[int, int]:
        """Runs steps from a position on; returns the changes made and the next position."""
        changes = 0
        for step in steps:
            if isinstance(step, Repeat):
                for _ in range(step.limit):
                    made, after = self.steps(step.body, position)
                    changes += made
                    if not made or self._stopped:
                        break
                position = after
            else:
                if position not in self._skipped:
                    self._stopped = self._stopped or self._calls == self._stop
                    if not self._stopped:
                        changes += self._call(step, position)
                        self._calls += 1
                position += 1
        return changes, position

    def _call(self, call: Call, position: int) -> int:
        step = self._manager.make(call)
        try:
            for instrument in self._instruments:
                instrument.before(step, self._context)
            changes = step.run(self._context)
            for instrument in self._instruments:
                instrument.after(step, self._context, changes)
        except UsageError as error:
            self._manager.name_model(error)
            raise
        except OnnxoptError:
            raise
        except Exception as error:
            raise _PassRaised(position, self._calls, step.name, error) from error
        if changes and not step.exact:
            self.exact = False
        self.lossy = self.lossy or (changes > 0 and step.lossy)
        if changes and step.working_type is not None:
            self.working_type = step.working_type
        return changes


def _positions(steps: Sequence[Step], position: int) -> Iterator[tuple[int, Call]]:
    for step in steps:
        if isinstance(step, Repeat):
            inner = list(_positions(step.body, position))
            yield from inner
            position += len(inner)
        else:
            yield position, step
            position += 1
