"""Starting the child process, watching it, and telling how it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxopt.runtime.job import PROGRESS, RESULT, STDERR, STOP


def python(module: str) -> Sequence[str]:
    """The command of a child that runs a module; the job folder is appended."""
    return (sys.executable, "-P", "-m", module)


WORKER = python("onnxopt.runtime.worker")
"""The command of the child that validates."""

_POLL_S = 0.1
_LAST_LINE = 200


@dataclass
class Ended:
    """How a child ended.

    Attributes:
        result: the content of its result file; None when it left none.
        stage: the last step it began ('' when it began none), such as ``candidate-run``.
        sample: the number of the sample in that step.
        timed_out: whether it was ended because a phase overran the limit.
        interrupted: whether Ctrl-C was pressed, and it was asked to end.
        trouble: '' when it ended by itself and well, else what happened, in words.
    """

    result: dict[str, Any] | None
    stage: str
    sample: int
    trouble: str
    timed_out: bool = False
    interrupted: bool = False


def run_child(
    folder: Path,
    timeout_s: float,
    on_progress: Callable[[str, int], None] | None = None,
    worker: Sequence[str] | None = None,
    grace_s: float | None = None,
) -> Ended:
    """Run a worker on a job folder and wait for it.

    Args:
        folder: the job folder.
        timeout_s: time limit of each phase (reference, candidate, noise), in seconds.
        on_progress: called with stage and sample number at each step.
        worker: the worker's command; validation's by default.
        grace_s: at Ctrl-C the child is asked to end, by the file `job.STOP`, and gets so many seconds for that;
            at a second one, it is killed. None: it is killed at the first, and the interrupt passed on.

    Returns:
        How it ended. The child is gone when this returns or raises, also on Ctrl-C.
    """
    with (folder / STDERR).open("wb") as stderr:
        process = subprocess.Popen(
            [*(worker or WORKER), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env=_environment(),
            start_new_session=True,  # Ctrl-C reaches the parent only, which ends the child below
        )
        watch = _Watch(folder / PROGRESS, on_progress)
        interrupted = False
        try:
            timed_out = _wait(process, watch, timeout_s)
        except KeyboardInterrupt:
            if grace_s is None:
                raise
            interrupted, timed_out = True, False
            (folder / STOP).touch()
            _wait(process, watch, grace_s, whole=True)
        finally:
            _kill(process)
    watch.poll()
    result = _read_result(folder)
    trouble = _trouble(process.returncode, timed_out, timeout_s, folder)
    if not trouble and result is None:
        trouble = "the runtime's process left no result"
    return Ended(result, watch.stage, watch.sample, trouble, timed_out, interrupted)


def _wait(
    process: subprocess.Popen[bytes], watch: _Watch, timeout_s: float, *, whole: bool = False
) -> bool:
    """Wait for the end; True when a phase, or the whole, overran the limit."""
    begun = time.monotonic()
    while True:
        try:
            process.wait(_POLL_S)
            return False
        except subprocess.TimeoutExpired:
            watch.poll()
        if time.monotonic() - (begun if whole else watch.phase_begun) > timeout_s:
            return True


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()


class _Watch:
    """Reads the progress file as it grows."""

    def __init__(self, path: Path, on_progress: Callable[[str, int], None] | None) -> None:
        self._path = path
        self._on_progress = on_progress
        self._read = 0
        self.stage = ""
        self.sample = 0
        self.phase_begun = time.monotonic()

    def poll(self) -> None:
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._read)
                fresh = stream.read()
        except FileNotFoundError:
            return
        complete = fresh[: fresh.rfind(b"\n") + 1]
        self._read += len(complete)
        for line in complete.splitlines():
            step = json.loads(line)
            if step["stage"].split("-")[0] != self.stage.split("-")[0]:
                self.phase_begun = time.monotonic()
            self.stage, self.sample = step["stage"], step["sample"]
            if self._on_progress is not None:
                self._on_progress(self.stage, self.sample)


def _environment() -> dict[str, str]:
    """The child imports this very package, wherever it lies, and nothing from the user's folder.

    Where the package is installed the child finds it anyway; naming site-packages in PYTHONPATH
    would put all of it before the standard library.
    """
    root = str(Path(__file__).resolve().parents[2])
    installed = {Path(place).resolve() for place in sysconfig.get_paths().values()}
    if Path(root) in installed:
        return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    inherited = os.environ.get("PYTHONPATH")
    path = root if not inherited else os.pathsep.join([root, inherited])
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def _read_result(folder: Path) -> dict[str, Any] | None:
    try:
        result: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return result


def _trouble(code: int, timed_out: bool, timeout_s: float, folder: Path) -> str:
    if timed_out:
        return f"no end within {timeout_s:g} s"
    if code == 0:
        return ""
    said = _last_line(folder / STDERR)
    said = f" ({said})" if said else ""
    if code < 0:
        return f"the runtime crashed: {_signal_name(-code)}{said}"
    return f"the runtime's process ended with status {code}{said}"


def _signal_name(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    return f"{name}, perhaps out of memory" if name == "SIGKILL" else name


def _last_line(path: Path) -> str:
    text = path.read_bytes()[-4096:].decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:_LAST_LINE] if lines else ""
