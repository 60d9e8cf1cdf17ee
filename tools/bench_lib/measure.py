"""One command in a fresh process: wall time, peak memory, and how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        seconds: Wall time from start to end of the process.
        peak_mb: Largest resident set, in MB (10^6 bytes), of the process or any child it waited for.
        failure: Why it did not succeed; empty when it did.
    """

    seconds: float
    peak_mb: float
    failure: str = ""

    @property
    def ok(self) -> bool:
        """Whether the command succeeded."""
        return not self.failure


def child_environment() -> dict[str, str]:
    """The environment of every child: this project importable, nothing fetched from a network.

    Bytecode is kept: pip compiles the peers when it installs them, and this project, which runs from
    its sources, must not be the only one that is compiled anew in every process.
    """
    env = dict(os.environ)
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    paths = [str(ROOT), str(ROOT / "tools"), env.get("PYTHONPATH", "")]
    env["PYTHONPATH"] = os.pathsep.join(p for p in paths if p)
    env.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", DO_NOT_TRACK="1", NO_COLOR="1")
    return env


def python(module: str, *arguments: str | Path) -> list[str]:
    """The command line that runs one of our modules in a fresh interpreter."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def run(command: Sequence[str], *, limit: float, log: Path) -> Outcome:
    """Run ``command`` and wait for it, killing it and its children when the time is up.

    Args:
        command: Program and arguments.
        limit: Seconds it may take.
        log: File that receives its output; the failure's reason is read from its end.
    """
    with log.open("wb") as sink:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=child_environment(),
            cwd=ROOT,
            start_new_session=True,
        )
        expired = threading.Event()
        timer = threading.Timer(limit, _kill_group, (process.pid, expired))
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    peak_mb = usage.ru_maxrss * 1024 / 1e6
    if expired.is_set():
        return Outcome(seconds, peak_mb, f"not done after {limit:.0f} s")
    return Outcome(seconds, peak_mb, _reason(process.returncode, log))


def settle(source: Path) -> None:
    """Make every run start alike: nothing waiting to be written, the input in the page cache."""
    os.sync()
    read_in(source)


def read_in(source: Path) -> None:
    """Bring a model and its external data into the page cache."""
    for path in (source, source.with_name(source.name + ".data")):
        if path.exists():
            with path.open("rb", buffering=0) as stream:
                while stream.read(1 << 20):
                    pass


def _kill_group(pid: int, expired: threading.Event) -> None:
    expired.set()
    os.killpg(pid, signal.SIGKILL)


def _reason(code: int, log: Path) -> str:
    if not code:
        return ""
    lines = [s for s in log.read_text(errors="replace").splitlines() if s.strip()]
    last = lines[-1].strip()[:200] if lines else ""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}" + (f": {last}" if last else "")
    return last or f"exit code {code}"
