"""How close candidates are to the optimised float model, and whether that is close enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .calibrating import provider_of
from .request import Samples

if TYPE_CHECKING:
    from ..compiler.options import Options
    from ..runtime.facts import InputSpec
    from ..runtime.quality.budget import Budget
    from ..runtime.quality.figures import Quality
    from ..runtime.quality.inner import Powers
    from ..runtime.quality.job import Reading

FLOOR = "snr=20,decisions=0.005"
"""What is asked for by default: a hundredth of the outputs' power may be noise, and one clear decision in 200 another."""
SAMPLES = 32
_SECONDS = 2.0
"""More samples are run as long as they take less."""


class Judge:
    """Runs candidates and the model they are made of on samples.

    Args:
        reference: The optimised float model.
        specs: Its inputs.
        samples: What to run.
        budget: How much may be lost.
        options: Provider, libraries, time limit, progress.
    """

    def __init__(
        self,
        reference: Path,
        specs: Sequence[InputSpec],
        samples: Samples,
        budget: Budget,
        options: Options,
    ) -> None:
        self._reference = reference
        self._specs = specs
        self._samples = samples
        self.budget = budget
        self._options = options
        self._settled: dict[int, int] = {}

    def look(self, candidates: Sequence[Path], limit: int = SAMPLES) -> list[Quality]:
        """Tells how close candidates are.

        Args:
            candidates: Their files.
            limit: How many samples to use; more where the model is fast.
        """
        from ..runtime.quality.measuring import measure_quality

        function = self.budget.function
        settled = self._settled.get(limit)  # later looks must be at the same samples
        found = measure_quality(
            self._reference,
            candidates,
            self._reading(),
            metrics=[function] if function else [],
            limit=limit if settled is None else settled,
            seconds=_SECONDS * limit / SAMPLES if settled is None else 0.0,
            provider=provider_of(self._options),
            custom_op_libraries=[str(lib) for lib in self._options.custom_op_libraries],
            timeout_s=self._options.timeout,
        )
        counts = [quality.samples for quality in found if not quality.failure]
        if counts:
            self._settled.setdefault(limit, counts[0])
        return found

    def look_inside(
        self, reference: Path, candidate: Path, values: Mapping[str, str]
    ) -> dict[str, Powers]:
        """Tells how close values inside a candidate are.

        Args:
            reference: The float model that has them.
            candidate: Its file.
            values: Name in the reference -> name in the candidate.

        Raises:
            ModelError: One of the models does not run with them as outputs.
        """
        from ..runtime.quality.inner import measure_inner

        return measure_inner(
            reference,
            candidate,
            values,
            self._reading(),
            provider=provider_of(self._options),
            custom_op_libraries=[str(lib) for lib in self._options.custom_op_libraries],
            timeout_s=self._options.timeout,
        )

    def _reading(self) -> Reading:
        from ..runtime.quality.job import Reading

        samples = self._samples
        return Reading(samples.source, list(self._specs), samples.reading(), dict(samples.state))

    def holds(self, quality: Quality) -> bool:
        """Whether a candidate is close enough."""
        return not quality.failure and self.budget.holds(quality)

    def better(self, one: Quality, other: Quality) -> bool:
        """Whether one candidate is closer than another."""
        if one.failure or other.failure:
            return not one.failure
        return self.budget.slack(one) > self.budget.slack(other)
