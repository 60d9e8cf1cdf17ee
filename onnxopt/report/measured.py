"""What was decided by measuring, for people: a line a choice, and the result against the original."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from .console import table
from .text import one_line, printable, seconds

if TYPE_CHECKING:
    from ..compiler.decision import Decision, Whole

_WHY = 120


def render(out: Console, decision: Decision) -> None:
    """Prints the decisions, and how fast the result is."""
    line = Text("\nMeasured  ", style="bold")
    line.append(_summary(decision.whole), style="not bold")
    if decision.source is not None:
        line.append(f"  from {printable(decision.source)}", style="not bold dim")
    out.print(line)
    if decision.choices:
        grid = table("choice", "<decision", "ratio", "<why")
        for choice in decision.choices:
            ratio = "-" if choice.ratio is None else f"{choice.ratio:.3f}"
            why = textwrap.shorten(one_line(choice.why), _WHY, placeholder=" ...")
            grid.add_row(choice.name, choice.decision, ratio, why)
        out.print(Padding(grid, (0, 0, 0, 2), expand=False))
    for note in decision.notes:
        out.print(Padding(Text(f"note: {one_line(note)}", style="dim"), (0, 0, 0, 2), expand=False))


def _summary(whole: Whole) -> str:
    if whole.ratio is None or whole.original is None or whole.result is None:
        return one_line(whole.why) or "nothing was timed"
    times = f"{_short(whole.original)} -> {_short(whole.result)}, ratio {whole.ratio:.3f}"
    if not whole.kept:
        return f"{times}: slower than the original, so the original is kept as it is"
    words = {"faster": "faster than", "slower": "slower than", "alike": "no slower than"}
    if whole.verdict in words:
        return f"{times}: {words[whole.verdict]} the original"
    return f"{times}: not settled ({one_line(whole.why) or 'too few rounds'})"


def _short(value: float) -> str:
    """Milliseconds with three digits, where whole ones would hide the difference."""
    return f"{1000 * value:#.3g} ms".replace(". ", " ") if value < 0.1 else seconds(value)
