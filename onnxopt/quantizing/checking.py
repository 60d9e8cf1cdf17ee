"""Validating a quantised result: where quantisation itself is to blame, nothing is written rather than the float model."""

from __future__ import annotations

from pathlib import Path

from ..compiler.repair import Repair
from ..errors import MismatchError
from ..pipeline.manager import Outcome

_WHOLE = "quantize at "
"""How the site of static quantisation begins, which stands for all of a model."""


class Check(Repair):
    """As `Repair`, but refuses to leave out what the user asked for."""

    def until_valid(self, outcome: Outcome, candidate: Path) -> Outcome:
        """Returns the first outcome that validates.

        Raises:
            MismatchError: The model is like the original only without quantisation.
        """
        last = super().until_valid(outcome, candidate)
        if any(site.startswith(_WHOLE) for site in self.left_out):
            raise MismatchError(
                f"{self._origin.label}: the quantised model has nothing to do with the original on the inputs of "
                "validation; give samples like those it will see (--calibrate, or --inputs to validate with)"
            )
        return last
