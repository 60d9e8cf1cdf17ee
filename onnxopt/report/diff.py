"""What changed between two models, for people: on the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console

from .console import table
from .difftext import Section, sections, verdict
from .text import printable

if TYPE_CHECKING:
    from ..diffing.result import ModelDiff

SHOWN = 10
"""Changes of each kind that are listed unless all are asked for."""


def render(out: Console, a: str, b: str, diff: ModelDiff, limit: int | None) -> None:
    """Prints what changed.

    Args:
        out: Where to.
        a: What the first model is called.
        b: What the second is called.
        diff: What changed.
        limit: How many changes of each kind to list; None for all.
    """
    out.print(f"{printable(a)} -> {printable(b)}", style="bold")
    out.print(verdict(diff))
    for section in sections(diff, limit):
        grid = table(section.title, *section.headings)
        for row in section.rows:
            grid.add_row(*map(printable, row))
        if section.more:
            blank = [""] * (len(section.headings))
            grid.add_row(f"and {section.more:,} more (--all)", *blank)
        out.print()
        out.print(grid)


def markdown(a: str, b: str, diff: ModelDiff, limit: int | None) -> str:
    """Writes what changed as Markdown.

    Args:
        a: What the first model is called.
        b: What the second is called.
        diff: What changed.
        limit: How many changes of each kind to list; None for all.

    Returns:
        The text, ending with a line break.
    """
    lines = [f"## {_cell(a)} → {_cell(b)}", "", verdict(diff)]
    for section in sections(diff, limit):
        lines += ["", *_table(section)]
    return "\n".join(lines) + "\n"


def _table(section: Section) -> Iterator[str]:
    headings = [section.title, *(heading.removeprefix("<") for heading in section.headings)]
    left = [True, *(heading.startswith("<") for heading in section.headings)]
    yield f"| {' | '.join(headings)} |"
    yield f"|{'|'.join('---' if is_left else '---:' for is_left in left)}|"
    for row in section.rows:
        yield f"| {' | '.join(map(_cell, row))} |"
    if section.more:
        yield f"\nand {section.more:,} more"


def _cell(text: str) -> str:
    """Escapes what means something in a table of Markdown."""
    text = printable(text)
    for character in ("\\", "|", "<", "`", "*", "_"):
        text = text.replace(character, f"\\{character}")
    return text
