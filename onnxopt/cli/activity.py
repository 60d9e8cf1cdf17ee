"""What goes on, shown on the terminal once it takes longer than a second."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

_PATIENCE = 1.0


class Activity:
    """A spinner with the name of the present stage, on standard error, if that is a terminal."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stage = "working"
        self._console: Console | None = None
        self._status: Status | None = None
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Activity:
        if sys.stderr.isatty():
            self._timer = threading.Timer(_PATIENCE, self._show)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._timer = None
            if self._status is not None:
                self._status.stop()
                self._status = None

    def stage(self, name: str) -> None:
        """Names what begins now."""
        from ..report.text import one_line

        with self._lock:
            self._stage = one_line(name)
            if self._status is not None:
                self._status.update(f"{self._stage} ...")

    def emit(self, text: str) -> None:
        """Prints diagnostics on standard error, above the spinner."""
        with self._lock:
            if self._status is not None and self._console is not None:
                self._console.print(text, soft_wrap=True)
                return
        click.echo(text, err=True)

    def _show(self) -> None:
        from ..report.console import err

        with self._lock:
            if self._timer is None:
                return
            self._console = err()
            self._status = self._console.status(f"{self._stage} ...")
            self._status.start()
