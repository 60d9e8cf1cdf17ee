"""A measured command that fails, crashes or hangs gives a reason, never an exception."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest
from bench_lib.measure import run


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_success(tmp_path: Path) -> None:
    outcome = run(python("print('hello')"), limit=60, log=tmp_path / "log")
    assert outcome.ok
    assert outcome.seconds > 0
    assert (tmp_path / "log").read_text() == "hello\n"


def test_peak_memory_counts_what_the_command_touches(tmp_path: Path) -> None:
    # A child's peak starts at that of its parent, which is this process with all it has imported.
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + 100_000_000
    small = run(python("pass"), limit=60, log=tmp_path / "log")
    large = run(python(f"b'x' * {size}"), limit=60, log=tmp_path / "log")
    assert large.peak_mb >= size / 1e6
    assert large.peak_mb > small.peak_mb


def test_failure_gives_the_last_line_of_output(tmp_path: Path) -> None:
    outcome = run(python("raise ValueError('no such shape')"), limit=60, log=tmp_path / "log")
    assert not outcome.ok
    assert outcome.failure == "ValueError: no such shape"


def test_silent_failure_gives_the_exit_code(tmp_path: Path) -> None:
    assert run(python("raise SystemExit(3)"), limit=60, log=tmp_path / "log").failure == (
        "exit code 3"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_crash_names_the_signal(tmp_path: Path) -> None:
    code = "import os; os.kill(os.getpid(), 11)"
    assert run(python(code), limit=60, log=tmp_path / "log").failure == "killed by SIGSEGV"


def test_hang_is_ended_with_its_children(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    late = f"import time, pathlib; time.sleep(3); pathlib.Path({str(marker)!r}).touch()"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {late!r}])"
    outcome = run(python(code), limit=0.5, log=tmp_path / "log")
    assert outcome.failure == "not done after 0 s"
    assert run(python("import time; time.sleep(3.5)"), limit=60, log=tmp_path / "log").ok
    assert not marker.exists()
