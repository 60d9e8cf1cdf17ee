"""Option values that have a form of their own: shapes, sizes of dims, tolerances."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:
    ParamType = click.ParamType  # generic only since click 8.3

Dim = int | str
T = TypeVar("T")
_MAX_DIM = 2**63 - 1


class InputShape(ParamType):
    """``NAME:1,3,224,224``; names may hold colons, dims are numbers or names."""

    name = "NAME:DIM,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[Dim, ...]]:
        """Splits at the last colon."""
        if isinstance(value, tuple):
            return value
        name, colon, dims = str(value).rpartition(":")
        if not colon or not name:
            self.fail(f"{value!r} is not of the form NAME:1,3,224,224", param, ctx)
        parts = [part.strip() for part in dims.split(",")] if dims.strip() else []
        return name, tuple(self._dim(part, str(value), param, ctx) for part in parts)

    def _dim(
        self, text: str, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> Dim:
        if not text or '"' in text:
            self.fail(f"{value!r} has a dim that is no number and no name", param, ctx)
        try:
            size = int(text)
        except ValueError:
            return text
        if not 0 <= size <= _MAX_DIM:
            self.fail(f"{value!r} has the dim {text}; sizes start at 0", param, ctx)
        return size


class DimSize(ParamType):
    """``NAME=VALUE``: the size of a symbolic dim."""

    name = "NAME=VALUE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Splits at the last equals sign."""
        if isinstance(value, tuple):
            return value
        name, _, text = str(value).rpartition("=")
        if not name or not text.strip().isdecimal() or int(text) > _MAX_DIM:
            self.fail(f"{value!r} is not of the form NAME=VALUE, such as batch=4", param, ctx)
        return name, int(text)


class Amount(ParamType):
    """A finite number that is not negative, or not zero either."""

    name = "NUMBER"

    def __init__(self, *, positive: bool = False) -> None:
        self._positive = positive

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Reads the number."""
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number", param, ctx)
        if not math.isfinite(number) or number < 0 or (self._positive and number == 0):
            least = "above 0" if self._positive else "0 or above"
            self.fail(f"{value} must be {least} and finite", param, ctx)
        return number


class Numbers(ParamType):
    """Numbers with commas between."""

    name = "NUMBER,..."

    def __init__(self, *, whole: bool = False) -> None:
        self._kind: type[int] | type[float] = int if whole else float

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Reads them."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(self._kind(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not numbers with commas between", param, ctx)


class Pair(ParamType):
    """``NAME=NAME``."""

    name = "NAME=NAME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Splits at the equals sign."""
        if isinstance(value, tuple):
            return value
        first, _, second = str(value).partition("=")
        if not first or not second:
            self.fail(f"{value!r} is not of the form OUTPUT=INPUT", param, ctx)
        return first, second


def unique(pairs: Iterable[tuple[str, T]], option: str) -> dict[str, T]:
    """Collects what a repeated option gave by name.

    Raises:
        click.UsageError: A name comes twice.
    """
    found: dict[str, T] = {}
    for name, value in pairs:
        if name in found:
            raise click.UsageError(
                f"{option} is given twice for {name!r}", click.get_current_context(silent=True)
            )
        found[name] = value
    return found
