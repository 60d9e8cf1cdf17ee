"""Verdicts on a build, as plain data: what was asked for, what was found, and whether it holds."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from .keys import Limit

Status = Literal["passed", "failed"]


class CannotMeasure(Exception):
    """There is no value for a key; the message is the reason, one line."""


@dataclass(frozen=True)
class Finding:
    """What was found for a key.

    Attributes:
        value: The value measured; None where it could not be.
        holds: Whether it is within the limit.
        detail: Where the value comes from or, where there is none, why; one line, '' for nothing to say.
    """

    value: Limit | None
    holds: bool
    detail: str = ""


@dataclass(frozen=True)
class Verdict:
    """A key of the budget, judged.

    Attributes:
        key: Its name.
        limit: What the budget asks for.
        value: What was measured; None where it could not be.
        status: ``"passed"`` or ``"failed"``; what could not be measured has failed.
        detail: Where the value comes from, or why there is none; '' for nothing to say.
        line: The key's line in the budget's file; None for a budget that is no file.
        seconds: How long measuring took; what several keys share counts for the first.
    """

    key: str
    limit: Limit
    value: Limit | None
    status: Status
    detail: str = ""
    line: int | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Check:
    """A build beside its budget.

    Attributes:
        model: The build's file.
        against: The file it was compared with; '' for none.
        budget: The budget's file.
        verdicts: One for each key, in the order measured.
        notes: What a reader should know besides, a line each.
        seconds: Wall time.
    """

    model: str
    against: str
    budget: str
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = field(default=())
    seconds: float = 0.0

    @property
    def failed(self) -> tuple[Verdict, ...]:
        """The verdicts that do not hold."""
        return tuple(verdict for verdict in self.verdicts if verdict.status == "failed")

    @property
    def passed(self) -> bool:
        """Whether all that was asked for holds."""
        return not self.failed

    @property
    def status(self) -> Status:
        """``"passed"`` or ``"failed"``."""
        return "passed" if self.passed else "failed"

    def to_json(self) -> dict[str, Any]:
        """A dict that `json.dumps` takes; an infinite signal-to-noise ratio is the text ``"inf"``."""
        data = asdict(self)
        for verdict in data["verdicts"]:
            value = verdict["value"]
            if isinstance(value, float) and not math.isfinite(value):
                verdict["value"] = str(value)
        return {"status": self.status, **data, "failed": [v.key for v in self.failed]}
