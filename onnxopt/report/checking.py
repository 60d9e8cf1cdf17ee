"""A build beside its budget, for people: a line a key, on the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from .console import table
from .text import one_line, printable, seconds

if TYPE_CHECKING:
    from ..checking.verdict import Check, Verdict

_STYLES = {"passed": "green", "failed": "bold red"}
_SPECIAL = str.maketrans({c: f"\\{c}" for c in "\\`*_[]<>|#~"})


def render(out: Console, check: Check) -> None:
    """Prints the verdict, and a line for each key."""
    line = Text(f"{printable(check.model)}  ", style="bold")
    line.append(check.status, style=_STYLES[check.status])
    line.append(f"  {printable(check.budget)}, {seconds(check.seconds)}", style="not bold dim")
    out.print(line)
    grid = table("key", "limit", "found", "<verdict")
    for verdict in check.verdicts:
        style = None if verdict.status == "passed" else "red"
        grid.add_row(
            verdict.key, limit_text(verdict), value_text(verdict), _verdict(verdict), style=style
        )
    out.print(Padding(grid, (0, 0, 0, 2), expand=False))
    for note in check.notes:
        out.print(Padding(Text(f"note: {one_line(note)}", style="dim"), (0, 0, 0, 2), expand=False))
    if check.failed:
        out.print(
            Text(f"failed: {', '.join(verdict.key for verdict in check.failed)}", style="red")
        )


def markdown(checks: Sequence[Check]) -> str:
    """Writes checks as Markdown, a section with a table each."""
    return "\n".join(_section(check) for check in checks)


def limit_text(verdict: Verdict) -> str:
    """The limit with the sense in which it is one: ``"at most 5,000,000"``."""
    shown = _shown(verdict.limit)
    kind = verdict.key.partition("_")[0]
    return {"max": "at most ", "min": "at least "}.get(kind, "") + shown


def value_text(verdict: Verdict) -> str:
    """The value; a dash where there is none, all its digits where fewer would look like the limit it misses."""
    if verdict.value is None:
        return "-"
    shown = _shown(verdict.value)
    if verdict.status == "failed" and shown == _shown(verdict.limit):
        return str(verdict.value)
    return shown


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(printable(item or "ai.onnx") for item in value) or "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) else printable(str(value))


def _verdict(verdict: Verdict) -> str:
    return f"{verdict.status}: {one_line(verdict.detail)}" if verdict.detail else verdict.status


def _section(check: Check) -> str:
    against = f" against {_escaped(check.against)}" if check.against else ""
    lines = [
        f"### {_escaped(check.model)}: {check.status}",
        "",
        f"{_escaped(check.budget)}{against}, {seconds(check.seconds)}",
        "",
        "| key | limit | found | verdict |",
        "|---|---:|---:|---|",
        *(_row(verdict) for verdict in check.verdicts),
    ]
    if check.notes:
        lines += ["", *(f"- {_escaped(one_line(note))}" for note in check.notes)]
    return "\n".join([*lines, ""])


def _row(verdict: Verdict) -> str:
    status = verdict.status if verdict.status == "passed" else f"**{verdict.status}**"
    detail = f": {_escaped(one_line(verdict.detail))}" if verdict.detail else ""
    limit, value = _escaped(limit_text(verdict)), _escaped(value_text(verdict))
    return f"| `{verdict.key}` | {limit} | {value} | {status}{detail} |"


def _escaped(text: str) -> str:
    return printable(text).translate(_SPECIAL)
