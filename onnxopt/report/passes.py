"""The list of passes, and one of them in full, for people."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from .catalog import Entry
from .console import table

_EXACT = {True: "exact", False: "rounds", None: ""}


def render_all(out: Console, entries: Sequence[Entry]) -> None:
    """Prints every pipeline, pass and rule in a line."""
    _section(out, "Pipelines", [e for e in entries if e.kind == "pipeline"])
    _section(out, "Passes", [e for e in entries if e.kind == "pass"])
    groups = {e.name: e for e in entries if e.kind == "group"}
    rules = [e for e in entries if e.kind == "rule"]
    for group, members in groupby(rules, key=lambda e: e.group):
        _section(out, f"{group}: {groups[group].summary}", list(members))
    out.print(
        "\n`onnxopt passes NAME` tells more. A group is a pass of that name. exact: results stay "
        "bit-identical; rounds: only rounding changes.",
        style="dim",
    )


def _section(out: Console, title: str, entries: Sequence[Entry]) -> None:

    if not entries:
        return
    out.print(f"\n{title}", style="bold")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column()
    for entry in entries:
        exact = _EXACT[entry.exact]
        grid.add_row(f"  {entry.name}", exact, entry.summary)
    out.print(grid)


def render_one(out: Console, entry: Entry) -> None:
    """Prints all there is to know about an entry."""

    kind = {"group": "group of rules", "rule": f"rule of {entry.group}"}.get(entry.kind, entry.kind)
    exactness = {
        True: ", exact: results stay bit-identical",
        False: ", changes rounding",
        None: "",
    }[entry.exact]
    out.print(entry.name, style="bold", end="")
    out.print(f"  {kind}{exactness}\n", style="dim")
    out.print(entry.doc or entry.summary)
    if entry.example:
        out.print("\nExample" if entry.kind != "pipeline" else "\nText", style="bold")
        out.print(Padding(entry.example, (0, 0, 0, 2), expand=False))
    _options(out, entry)
    if entry.kind == "pass":
        out.print("\nIn a pipeline", style="bold")
        out.print(f"  --passes '{_call(entry)}'")
    if entry.rules:
        out.print("\nRules", style="bold")
        for name in entry.rules:
            out.print(f"  {name}")


def _options(out: Console, entry: Entry) -> None:
    if not entry.options:
        return
    out.print("\nOptions", style="bold")
    grid = table("name", "<type", "<default", "<meaning")
    for option in entry.options:
        grid.add_row(option.name, option.type, option.default or "-", option.meaning)
    out.print(grid)


def _call(entry: Entry) -> str:
    inside = ",".join(f"{option.name}={option.default or '...'}" for option in entry.options)
    return f"{entry.name}{{{inside}}}" if inside else entry.name
