"""How close candidates are to the optimised float model, and whether that is close enough."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .calibrating import provider_of
from .request import Samples

if TYPE_CHECKING:
    from ..compiler.options import Options
    from ..runtime.quality import Budget, Quality

FLOOR = "snr=20"
"""What is asked for by default: a hundredth of the outputs' power may be noise."""
SAMPLES = 32


class Judge:
    """Runs candidates and the model they are made of on samples.

    Args:
        reference: The optimised float model.
        samples: What to run.
        budget: How much may be lost.
        options: Provider, libraries, time limit, progress.
    """

    def __init__(self, reference: Path, samples: Samples, budget: Budget, options: Options) -> None:
        self._reference = reference
        self._samples = samples
        self.budget = budget
        self._options = options

    def look(self, candidates: Sequence[Path], limit: int = SAMPLES) -> list[Quality]:
        """Tells how close candidates are.

        Args:
            candidates: Their files.
            limit: How many samples to use at most.
        """
        from ..runtime.quality import measure_quality

        return measure_quality(
            self._reference,
            candidates,
            self._samples.source,
            options=self._samples.reading(limit),
            state=self._samples.state,
            provider=provider_of(self._options),
            custom_op_libraries=[str(lib) for lib in self._options.custom_op_libraries],
            timeout_s=self._options.timeout,
        )

    def holds(self, quality: Quality) -> bool:
        """Whether a candidate is close enough."""
        return not quality.failure and self.budget.holds(quality)

    def better(self, one: Quality, other: Quality) -> bool:
        """Whether one candidate is closer than another."""
        if one.failure or other.failure:
            return not one.failure
        return self.budget.slack(one) > self.budget.slack(other)
