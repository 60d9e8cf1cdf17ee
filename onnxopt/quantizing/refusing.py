"""Models that there is nothing to do for, and what is told of why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    from ..compiler.staging import Origin
    from .workshop import Candidate

_SHOWN = 3
_MARKS = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulNBits"})


def refuse_quantised(origin: Origin) -> None:
    """Refuses a model that holds integers already.

    Raises:
        UsageError: It does.
    """
    found = Counter(n.op_type for n in origin.all_nodes() if n.op_type in _MARKS)
    if found:
        told = ", ".join(f"{count} {name}" for name, count in found.most_common())
        raise UsageError(
            f"{origin.label}: is quantised already ({told}): start from the float model"
        )


def reasons(made: Iterable[Candidate]) -> str:
    """What kept nodes in float, the most frequent first."""
    found: Counter[str] = Counter()
    for candidate in made:
        for rule, declined in candidate.outcome.stats.declined.items():
            if rule.startswith("quantize"):
                found.update(declined)
    told = "; ".join(f"{reason} ({count} times)" for reason, count in found.most_common(_SHOWN))
    return f": {told}" if told else ""
