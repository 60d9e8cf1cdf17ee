"""Options that several commands of the benchmark share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

Command = TypeVar("Command", bound=Callable[..., Any])

CONSOLE = Console(width=None if sys.stdout.isatty() else 190, markup=False)
runs = click.option("--runs", default=3, show_default=True, help="Rounds; medians are reported.")
limit = click.option(
    "--limit", default=600.0, show_default=True, help="Seconds a tool may take in a run."
)
size = click.option(
    "--size", type=click.Choice(["tiny", "small", "full"]), default="full", show_default=True
)
exporter = click.option(
    "--exporter",
    type=click.Choice(["torchscript", "dynamo", "both"]),
    default="both",
    show_default=True,
    help="For models named without one.",
)
work_dir = click.option(
    "--work-dir",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder for models and outputs meanwhile; the system's temporary one by default.",
)

png = click.option(
    "--png", type=click.Path(path_type=Path), help="Picture; beside OUTPUT by default."
)


def output(default: str) -> Callable[[Command], Command]:
    """The option for the JSON file that a command writes."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path, dir_okay=False),
        default=Path(default),
        show_default=True,
        help="JSON file of the results.",
    )


def progress(text: str) -> None:
    """Say what is being done, apart from the results."""
    click.echo(text, err=True)


@contextmanager
def picture() -> Iterator[None]:
    """Within this, a missing matplotlib is said and no error."""
    try:
        yield
    except ImportError:
        click.echo("no picture: matplotlib is missing (pip install 'onnxopt[bench]')", err=True)
