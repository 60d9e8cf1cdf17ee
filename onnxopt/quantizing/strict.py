"""What is done about a quantised model that has nothing to do with the original any more: it is an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..compiler.repair import Repair
from ..errors import MismatchError

if TYPE_CHECKING:
    from ..pipeline.manager import Outcome


class Strict(Repair):
    """Does not mend a result by leaving it in float: that would be another model than was measured."""

    def first_bad(self, outcome: Outcome) -> int | None:
        """Numbers the rewrite after which an outcome fails.

        Raises:
            MismatchError: It is one that quantises.
        """
        position = super().first_bad(outcome)
        if position and outcome.sites[position - 1].startswith("quantize"):
            reason = "" if self.validation is None else f" ({self.validation.reason})"
            raise MismatchError(
                "the quantised model has nothing to do with the original on the samples that it is compared on"
                f"{reason}: calibrate on samples like those (--calibrate), or leave layers in float (--exclude)"
            )
        return position
