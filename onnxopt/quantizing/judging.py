"""How close candidates are to the optimised float model, and whether that is close enough."""

from __future__ import annotations

import dataclasses
import hashlib
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
FEW = 8
"""Of so many samples, so many are enough to see which candidates are worth a closer look."""
_SECONDS = 2.0
"""More samples are run as long as they take less."""


class Judge:
    """Runs candidates and the model they are made of on samples; the latter once, and each candidate once.

    Args:
        reference: The optimised float model.
        specs: Its inputs.
        samples: What to run.
        budget: How much may be lost.
        options: Provider, libraries, time limit, progress.
        folder: Where to keep what the reference returns; it need not exist.
    """

    def __init__(
        self,
        reference: Path,
        specs: Sequence[InputSpec],
        samples: Samples,
        budget: Budget,
        options: Options,
        folder: Path,
    ) -> None:
        self._reference = reference
        self._specs = specs
        self._samples = samples
        self.budget = budget
        self._options = options
        self._folder = folder
        self._known: dict[tuple[str, int | None], Quality] = {}

    def look(self, candidates: Sequence[Path], *, few: bool = False) -> list[Quality]:
        """Tells how close candidates are; those that are the same to the byte are looked at once.

        Args:
            candidates: Their files.
            few: Whether ``FEW`` of ``SAMPLES`` samples do. There are more of both where the model is fast.
        """
        contents = [_digest(path) for path in candidates]
        count = self._count(few)
        missing = {
            content: path
            for content, path in zip(contents, candidates, strict=True)
            if (content, count) not in self._known
        }
        if missing:
            found = self._measure(list(missing.values()), few)
            count = self._count(few)
            self._known |= {(c, count): q for c, q in zip(missing, found, strict=True)}
        return [
            dataclasses.replace(self._known[content, count], model=str(path))
            for content, path in zip(contents, candidates, strict=True)
        ]

    def _measure(self, candidates: Sequence[Path], few: bool) -> list[Quality]:
        from ..runtime.quality.measuring import measure_quality

        function = self.budget.function
        return measure_quality(
            self._reference,
            candidates,
            self._reading(),
            metrics=[function] if function else [],
            limit=SAMPLES,
            seconds=_SECONDS,
            few=FEW if few else 0,
            kept_in=self._folder,
            provider=provider_of(self._options),
            custom_op_libraries=[str(lib) for lib in self._options.custom_op_libraries],
            timeout_s=self._options.timeout,
        )

    def _count(self, few: bool) -> int | None:
        """On how many samples candidates run; None before the reference has."""
        from ..runtime.quality.job import compared
        from ..runtime.quality.store import Store

        total = Store(self._folder).count
        return None if total is None else compared(total, FEW if few else 0, SAMPLES)

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


def _digest(path: Path) -> str:
    """What tells a model's file from others; where weights lie beside it, it names them."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "blake2b").hexdigest()
