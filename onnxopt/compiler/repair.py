"""Finding the rewrite that broke a model, leaving it out, and keeping the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..pipeline.bisect import first_bad
from ..pipeline.manager import Outcome
from .options import Options
from .plan import Plan
from .staging import Origin, Stage
from .verify import Verifier

if TYPE_CHECKING:
    import onnx_ir as ir

    from ..runtime.validation import Validation

_MAX_REPAIRS = 8


class Repair:
    """Validates an outcome and, while it fails, leaves out the guilty rewrite.

    Args:
        origin: The original model.
        plan: The pipeline that made the outcome.
        options: The user's options.
        stage: Where candidates are written.
        verifier: Compares candidates with the original.
    """

    def __init__(
        self, origin: Origin, plan: Plan, options: Options, stage: Stage, verifier: Verifier
    ) -> None:
        self._origin = origin
        self._plan = plan
        self._options = options
        self._stage = stage
        self._verifier = verifier
        self._shapes = self._interface_model()
        self.left_out: list[str] = []
        self.kept: dict[str, str] = {}
        self.pipeline = plan.text
        self.validation: Validation | None = None

    def until_valid(self, outcome: Outcome, candidate: Path) -> Outcome:
        """Returns the first outcome that validates, or the last one tried."""
        self.validation = self.check(outcome, candidate)
        while self.validation.status == "failed" and len(self.left_out) < _MAX_REPAIRS:
            position = self.first_bad(outcome)
            if not position:
                break
            guilty = outcome.sites[position - 1]
            self.left_out.append(guilty)
            self._options.stage(f"leaving out {guilty}")
            outcome = self._run(None)
            self.validation = self.check(outcome)
        return outcome

    def check(self, outcome: Outcome, candidate: Path | None = None) -> Validation:
        """Compares an outcome with the original; writes it as a candidate unless it is written."""
        if candidate is None:
            candidate = self._stage.write(outcome.model, self._options.external_data)
        return self._verifier.check(
            candidate,
            outcome.exact,
            shapes=self._shapes,
            working_type=outcome.working_type,
            lossy=outcome.lossy,
        )

    def first_bad(self, outcome: Outcome) -> int | None:
        """Numbers the rewrite after which an outcome fails, from 1.

        Returns:
            None where the outcome is good after all, 0 where no rewrite is to blame.
        """
        return first_bad(
            len(outcome.sites), lambda count: self.check(self._run(count)).status != "failed"
        )

    def _run(self, limit: int | None) -> Outcome:
        from .compile import run_pipeline

        return run_pipeline(
            self._origin,
            self._plan.text,
            self._options,
            banned=self.left_out,
            limit=limit,
            quiet=True,
        )

    def _interface_model(self) -> ir.Model | None:
        """The original with the interface the user asked for, which samples must fit."""
        from .compile import run_pipeline

        interface = self._plan.interface
        if not interface:
            return None
        return run_pipeline(self._origin, interface, self._options, quiet=True).model
