"""Where reports go: consoles that use colour and boxes only on a terminal.

A stream that is no terminal gets plain text, whatever the environment says; ``NO_COLOR`` takes the
colour away on a terminal as well.
"""

from __future__ import annotations

import os
import sys

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

_PLAIN_WIDTH = 100


def out() -> Console:
    """Returns a console on the standard output stream."""
    return _console(error=False)


def err() -> Console:
    """Returns a console on the standard error stream."""
    return _console(error=True)


class _Stream(Console):
    def on_broken_pipe(self) -> None:
        """Leaves it to the program what to do when nobody reads any more."""
        raise BrokenPipeError


def _console(*, error: bool) -> Console:
    terminal = (sys.stderr if error else sys.stdout).isatty()
    wide = terminal or "COLUMNS" in os.environ
    return _Stream(
        stderr=error,
        force_terminal=terminal,
        width=None if wide else _PLAIN_WIDTH,
        # Names in models are data: brackets and colons in them are no markup.
        markup=False,
        emoji=False,
        highlight=False,
    )


def table(*headings: str, title: str | None = None) -> Table:
    """Returns a table: the first column for names, the others for numbers, right-aligned.

    Headings that begin with ``<`` are left-aligned.
    """
    grid = Table(
        box=SIMPLE_HEAD,
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        pad_edge=False,
        show_edge=False,
        padding=(0, 1),
    )
    for position, heading in enumerate(headings):
        left = position == 0 or heading.startswith("<")
        grid.add_column(
            heading.removeprefix("<"),
            justify="left" if left else "right",
            no_wrap=not left,
            overflow="fold",
        )
    return grid
