"""What a budget can ask for: each key, the values it takes, and whether another model is needed to measure it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Limit = int | float | str | tuple[str, ...]
Read = Callable[[Any], Limit | None]


@dataclass(frozen=True)
class Key:
    """A key of a budget.

    Attributes:
        expected: The values it takes, in words.
        read: Turns what the file has into a limit; None where it is no such value.
        compares: Whether it needs the model that the result is held against.
    """

    expected: str
    read: Read
    compares: bool = False


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def _whole(least: int) -> Read:
    def read(value: Any) -> int | None:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            return None
        return value

    return read


def _between(least: float, most: float) -> Read:
    def read(value: Any) -> float | None:
        number = _number(value)
        return number if number is not None and least <= number <= most else None

    return read


def _positive(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and number > 0 else None


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _passed(value: Any) -> str | None:
    return value if value == "passed" else None


def _domains(value: Any) -> tuple[str, ...] | None:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return None
    return tuple(value)


_COUNT = "a whole number, 0 or above"
_VERSION = "a whole number, 1 or above"
_RATIO = "a number above 0"

KEYS: dict[str, Key] = {
    "max_bytes": Key(_COUNT, _whole(0)),
    "max_bytes_ratio": Key(_RATIO, _positive, compares=True),
    "max_nodes": Key(_COUNT, _whole(0)),
    "allowed_domains": Key('a list of domains, such as ["ai.onnx"]', _domains),
    "max_opset": Key(_VERSION, _whole(1)),
    "max_ir_version": Key(_VERSION, _whole(1)),
    "required_provider": Key('the name of a provider, such as "cuda"', _name),
    "validation": Key('"passed"', _passed, compares=True),
    "min_cosine": Key("a number from -1 to 1", _between(-1.0, 1.0), compares=True),
    "min_snr_db": Key("a finite number, in dB", _number, compares=True),
    "min_top1_agreement": Key("a number from 0 to 1", _between(0.0, 1.0), compares=True),
    "max_latency_ratio": Key(_RATIO, _positive, compares=True),
}
"""Every key, in the order in which it is measured and shown: what is cheap comes first."""
