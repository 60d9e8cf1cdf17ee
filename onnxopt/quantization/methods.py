"""The methods that choose a range from statistics: their names, and what each must know."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError
from .wants import Wants

NAMES = ("minmax", "moving-average", "percentile", "entropy", "mse", "hmse")
"""All methods; ``percentile`` takes a number: ``percentile:99.99``."""
EVEN = frozenset({"entropy", "mse", "hmse"})
"""Methods that reckon with steps of equal size, which floats do not have."""
_PERCENT = 99.99


@dataclass(frozen=True)
class Method:
    """A method that chooses ranges.

    Attributes:
        name: One of ``NAMES``.
        percent: The part of values below the upper end, in percent; of ``percentile`` only.
    """

    name: str
    percent: float | None = None

    def __str__(self) -> str:
        return self.name if self.percent is None else f"{self.name}:{self.percent:g}"


def parse_method(text: str) -> Method:
    """Reads a method as options name it.

    Args:
        text: Such as ``mse`` or ``percentile:99.9``; without a number, percentile is 99.99.

    Raises:
        UsageError: There is none of that name, or the number isn't above 50 and up to 100.
    """
    name, colon, number = text.partition(":")
    if name not in NAMES or (colon and name != "percentile"):
        shown = ", ".join("percentile:P" if n == "percentile" else n for n in NAMES)
        raise UsageError(f"no method {text!r} to choose ranges; there are: {shown}")
    if name != "percentile":
        return Method(name)
    try:
        percent = float(number) if colon else _PERCENT
    except ValueError:
        percent = 0.0
    if not 50 < percent <= 100:
        raise UsageError(f"method {text!r}: the percentage must be above 50 and at most 100")
    return Method(name, percent)


def needs(method: Method | str) -> Wants:
    """What must be gathered of a tensor for a method.

    Raises:
        UsageError: There is none of that name.
    """
    name = (parse_method(method) if isinstance(method, str) else method).name
    return Wants(histogram=name not in ("minmax", "moving-average"))
