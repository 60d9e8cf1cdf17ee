"""Where models race: building them with the pipeline, laying them down, timing them round by round.

Models lie in hidden folders beside the output while they are timed, two at a time.
"""

from __future__ import annotations

import dataclasses
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..analysis.fingerprint import fingerprint
from ..errors import ModelError
from .budget import Budget
from .choices import Entrant
from .options import Options
from .plan import Plan
from .race import MIN_ROUNDS, Race
from .staging import Origin, Stage

if TYPE_CHECKING:
    import onnx_ir as ir

    from ..runtime.stopwatch import Stopwatch


@dataclass(frozen=True)
class Task:
    """One model and how to optimise it.

    Attributes:
        origin: The original.
        steps: The pipeline with everything on.
        options: The user's options.
        output: Where the result will go, if anywhere; models to be timed lie beside it.
    """

    origin: Origin
    steps: Plan
    options: Options
    output: Path | None


class Track:
    """Builds models with the pipeline and times them with a stopwatch.

    Args:
        task: The model and how to optimise it.
        watch: Times models.
        budget: How long that may take.
        stack: Closes the folders.
    """

    def __init__(self, task: Task, watch: Stopwatch, budget: Budget, stack: ExitStack) -> None:
        self._task = task
        self._watch = watch
        self._budget = budget
        self._stages = [stack.enter_context(Stage(task.output)) for _ in range(2)]
        self._written: list[Entrant | None] = [None, None]

    def original(self, model: ir.Model) -> Entrant:
        """The original: its own file, or written anew with the interface the user asked for."""
        place = model if self._task.steps.interface else self._task.origin.path
        return Entrant(fingerprint(model), place=place)

    def build(self, off: frozenset[str]) -> Entrant:
        """Runs the pipeline with some names switched off."""
        from .compile import run_pipeline

        options = dataclasses.replace(
            self._task.options, disable=[*self._task.options.disable, *sorted(off)]
        )
        model = run_pipeline(self._task.origin, self._task.steps.text, options, quiet=True).model
        return Entrant(fingerprint(model), off, model)

    def skip(self) -> None:
        """Leaves a race's time to the others."""
        self._budget.skip()

    def race(self, incumbent: Entrant, challenger: Entrant, title: str) -> Race:
        """Times two models, in turn the one and the other first, until it is clear or time is up."""
        race = Race()
        self._budget.begin()
        try:
            files = self.file(incumbent), self.file(challenger, incumbent)
        except ModelError as error:
            race.reason = str(error)
        while not race.settled:
            if not self._budget.allows(len(race.rounds)):
                if len(race.rounds) < MIN_ROUNDS:
                    race.reason = "no time left (--measure-budget)"
                break
            self._task.options.stage(f"measuring {title}, round {len(race.rounds) + 1}")
            begun = self._budget.now()
            self._round(race, files)
            self._budget.took(self._budget.now() - begun)
        return race

    def _round(self, race: Race, files: tuple[Path, Path]) -> None:
        from ..runtime.stopwatch import CannotTime

        order = -1 if len(race.rounds) % 2 else 1
        try:
            first, second = self._watch.round(*files[::order])[::order]
            race.rounds.append((first, second))
        except CannotTime as error:
            race.reason = str(error)
            if error.model is not None:
                race.broken = error.model if order == 1 else 1 - error.model
        if race.broken == 0:  # nothing is known of the challenger yet: it may not run either
            try:
                self._watch.round(files[1], files[1])
            except CannotTime:
                race.broken = None

    def file(self, entrant: Entrant, other: Entrant | None = None) -> Path:
        """Where a model lies, written if need be, in the place of any but ``other``.

        Raises:
            ModelError: It cannot be written.
        """
        if isinstance(entrant.place, Path):
            return Path(os.path.abspath(entrant.place))
        slot = next((i for i, known in enumerate(self._written) if known is entrant), None)
        if slot is None:
            slot = next(
                i for i, known in enumerate(self._written) if other is None or known is not other
            )
            self._written[slot] = None
            self._stages[slot].write(entrant.place, self._task.options.external_data)
            self._written[slot] = entrant
        stage = self._stages[slot]
        return Path(os.path.abspath(stage.folder / stage.name))
