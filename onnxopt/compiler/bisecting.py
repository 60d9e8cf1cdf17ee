"""Which single rewrite changes the result: the command ``onnxopt bisect``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import OnnxoptError
from .aim import aimed
from .compile import require_runtime, run_pipeline
from .measuring import decide
from .options import Options
from .plan import plan
from .repair import Repair
from .staging import Origin, Stage
from .track import Task
from .verify import Verifier

if TYPE_CHECKING:
    from ..runtime.validation import Validation
    from .staging import Source


@dataclass(frozen=True)
class Culprit:
    """The rewrite to blame.

    Attributes:
        rule: The rule or pass that made it.
        where: The node it was made at.
        position: Its number among all rewrites, from 1; ``--bisect-limit`` counts the same way.
        total: How many rewrites a full run makes.
        validation: How the fully optimised model compares.
    """

    rule: str
    where: str
    position: int
    total: int
    validation: Validation

    def to_json(self) -> dict[str, Any]:
        """Returns the finding as plain data."""
        return {**vars(self), "validation": self.validation.to_json()}


def find_culprit(source: Source, options: Options) -> Culprit | None:
    """Optimises, validates, and halves the list of rewrites until one is to blame.

    Nothing is measured, not at level 3 either; what timings switched off stays off.

    Returns:
        The first rewrite after which the result fails; None where the full result is right.

    Raises:
        OnnxoptError: The original cannot be run, or fails without any rewrite.
    """
    options = aimed(options)
    require_runtime(options.providers)
    origin = Origin(source)
    steps = plan(options)
    if options.timings is not None and os.path.exists(options.timings):
        decision = decide(Task(origin, steps, options, None))
        if decision is not None:
            steps, options = decision.applied(steps, options)
    with Stage(None) as stage:
        repair = Repair(origin, steps, options, stage, Verifier(origin, options))
        options.stage("optimising")
        outcome = run_pipeline(origin, steps.text, options, quiet=True)
        validation = repair.check(outcome)
        if validation.status == "not-validated":
            raise OnnxoptError(f"{origin.label}: cannot be bisected: {validation.reason}")
        if validation.status == "passed":
            return None
        options.stage("bisecting")
        position = repair.first_bad(outcome)
    if position is None:
        return None
    if position == 0:
        raise OnnxoptError(
            f"{origin.label}: differs without any rewrite: {validation.reason}; "
            "the fault lies outside the rewrites"
        )
    rule, _, where = outcome.sites[position - 1].partition("@")
    return Culprit(rule, where, position, len(outcome.sites), validation)
