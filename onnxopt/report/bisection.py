"""What bisecting found, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from . import validation
from .text import printable

if TYPE_CHECKING:
    from ..compiler.bisecting import Culprit


def render(out: Console, model: str, culprit: Culprit | None) -> None:
    """Prints the guilty rewrite and how to look at it, or that there is none."""
    if culprit is None:
        out.print(f"{printable(model)}: no rewrite changes the result", style="green")
        return
    line = Text(f"{printable(model)}: ")
    line.append(culprit.rule, style="bold red")
    line.append(f" at {printable(culprit.where)} changes the result")
    out.print(line)
    out.print(
        f"  rewrite {culprit.position} of {culprit.total}; "
        f"--bisect-limit {culprit.position - 1} stops before it, --disable {culprit.rule} leaves "
        "its kind out",
    )
    validation.render(out, culprit.validation)
