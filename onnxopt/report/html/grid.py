"""Tables, which a reader can sort where scripts run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .markup import Html, el

Sortable = str | float | None
_TALL = 14
"""Tables of more rows scroll in a window of their own, on a screen."""


@dataclass(frozen=True)
class Cell:
    """What is in a table.

    Attributes:
        shown: As it is read.
        key: What it is sorted by; what is shown, by default.
    """

    shown: str
    key: Sortable = None


def number(value: float | None, pattern: str = "{:.4g}") -> Cell:
    """A number; a dash where it is not known."""
    if value is None or math.isnan(value):
        return Cell("–")
    if math.isinf(value):
        return Cell("∞" if value > 0 else "−∞", value)
    return Cell(pattern.format(value).replace("-", "−"), value)


def decibels(value: float | None) -> Cell:
    """An SNR."""
    return number(value, "{:.1f}")


def percent(value: float | None, digits: int = 1) -> Cell:
    """A share; small ones keep a digit that says something."""
    if value is None or math.isnan(value):
        return Cell("–")
    if value == 0:
        return Cell("0 %", 0.0)
    shown = 100 * value
    least = 10.0**-digits
    if 0 < abs(shown) < least / 2:
        return Cell(f"{'<' if shown > 0 else '>−'}{least / 2:g} %", value)
    return Cell(f"{shown:.{digits}f} %".replace("-", "−"), value)


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[Cell | str | Html]],
    *,
    sortable: bool = False,
    left: Sequence[int] = (0,),
    names: bool = False,
    mark: int | None = None,
    label: str = "",
) -> Html:
    """Writes a table.

    Args:
        headings: Of the columns; an explanation may follow after ``|``.
        rows: The cells.
        sortable: Whether clicking a heading sorts.
        left: Columns that are left-aligned: names; numbers are not.
        names: Whether the first column is of long names.
        mark: The row to stand out.
        label: What is in it, for readers that cannot see.
    """
    head = [_heading(text, i in left) for i, text in enumerate(headings)]
    body = [
        el(
            "tr",
            *(_cell(cell, i in left) for i, cell in enumerate(row)),
            class_="mark" if at == mark else None,
        )
        for at, row in enumerate(rows)
    ]
    kinds = [name for name, wanted in (("sortable", sortable), ("names", names)) if wanted]
    grid = el(
        "table",
        el("thead", el("tr", *head)),
        el("tbody", *body),
        class_=" ".join(kinds) or None,
    )
    frame = "scroll tall" if len(rows) > _TALL else "scroll"
    return el("div", grid, class_=frame, tabindex="0", role="region", aria_label=label or "table")


def _heading(text: str, left: bool) -> Html:
    shown, _, why = text.partition("|")
    return el("th", shown, scope="col", title=why or None, class_="left" if left else None)


def _cell(cell: Cell | str | Html, left: bool) -> Html:
    kind = "left" if left else None
    if not isinstance(cell, Cell):
        return el("td", cell, class_=kind)
    key = cell.key
    return el("td", cell.shown, class_=kind, data_key=None if key is None else f"{key}")
