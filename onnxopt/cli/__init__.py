"""The command line: one file a command; parses, calls the API, renders."""

from __future__ import annotations

import signal
from types import FrameType

from .program import program

__all__ = ["main", "program"]


def main() -> None:
    """Runs the command line and leaves with its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    program.main(prog_name="onnxopt")


def _terminate(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    # An exception, unlike the default action, lets temporary files and children be cleaned up.
    raise SystemExit(128 + number)
