"""What every child process does, whatever its work: note its steps, write its result, die with its parent."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from onnxopt.runtime.job import RESULT


class Steps:
    """Appends each step to a file, at once: what is written survives a crash of this process."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("a", encoding="utf-8")

    def __call__(self, stage: str, sample: int) -> None:
        """Note that a step begins."""
        self._stream.write(json.dumps({"stage": stage, "sample": sample}) + "\n")
        self._stream.flush()


def write_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Write the result, whole or not at all, in the place of any earlier one."""
    temporary = folder / f"{RESULT}.part"
    temporary.write_text(json.dumps(result), encoding="utf-8")
    temporary.replace(folder / RESULT)


def die_with_parent(folder: Path) -> None:
    """End this process, and delete its folder, as soon as the parent is gone."""
    threading.Thread(target=_wait_for_parent, args=(folder,), daemon=True).start()


def _wait_for_parent(folder: Path) -> None:
    """The parent holds the other end of stdin: when that closes early, the parent is gone."""
    sys.stdin.buffer.read()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def leave() -> NoReturn:
    """End well, at once: the result is written, and what libraries do at exit cannot change it."""
    sys.stderr.flush()
    os._exit(0)
