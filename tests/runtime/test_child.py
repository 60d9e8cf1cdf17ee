"""The child process: crashes, hangs and interruptions are reported, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from onnxopt.runtime import child
from onnxopt.runtime.validate import validate

Writer = Callable[..., Path]
NEG = '<ir_version: 8, opset_import: ["": 17]> g (float[N] x) => (float[N] y) { y = Neg(x) }'
ABS = NEG.replace("Neg", "Abs")
FAILING = Path(__file__).with_name("failing_worker.py")


def _break(monkeypatch: pytest.MonkeyPatch, how: str, stage: str) -> None:
    monkeypatch.setattr(child, "WORKER", [sys.executable, "-P", str(FAILING), how, stage])


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of our own, to see that it is left empty."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.mark.parametrize(
    ("stage", "status", "who"),
    [
        ("reference-load", "not-validated", "the original while loading"),
        ("reference-run", "not-validated", "the original on sample 0"),
        ("candidate-load", "failed", "the candidate while loading"),
        ("candidate-run", "failed", "the candidate on sample 0"),
    ],
)
def test_crash_is_a_result(
    monkeypatch: pytest.MonkeyPatch,
    write: Writer,
    temporary: Path,
    stage: str,
    status: str,
    who: str,
) -> None:
    _break(monkeypatch, "abort", stage)
    result = validate(write(NEG), write(NEG))
    assert result.status == status
    assert who in result.reason
    assert "SIGABRT" in result.reason
    assert "out of luck" in result.reason
    assert "\n" not in result.reason
    assert list(temporary.iterdir()) == []


def test_early_exit_is_a_result(monkeypatch: pytest.MonkeyPatch, write: Writer) -> None:
    _break(monkeypatch, "exit", "candidate-run")
    result = validate(write(NEG), write(NEG))
    assert result.status == "failed"
    assert "ended with status 7" in result.reason


@pytest.mark.parametrize("stage", ["reference-run", "candidate-load"])
def test_hang_is_a_result(
    monkeypatch: pytest.MonkeyPatch, write: Writer, temporary: Path, stage: str
) -> None:
    _break(monkeypatch, "hang", stage)
    result = validate(write(NEG), write(NEG), timeout_s=4)
    assert result.status == ("failed" if stage.startswith("candidate") else "not-validated")
    assert "no end within 4 s" in result.reason
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("how", ["abort", "hang"])
def test_trouble_while_measuring_noise_keeps_the_comparison(
    monkeypatch: pytest.MonkeyPatch, write: Writer, how: str
) -> None:
    _break(monkeypatch, how, "noise-load")
    result = validate(write(NEG), write(ABS), timeout_s=4)
    assert result.status == "failed"
    assert "'y'" in result.reason
    assert any("noise was not measured" in note for note in result.notes)


def test_worker_that_cannot_start(monkeypatch: pytest.MonkeyPatch, write: Writer) -> None:
    monkeypatch.setattr(child, "WORKER", [sys.executable, "-c", "raise SystemExit('no way')"])
    result = validate(write(NEG), write(NEG))
    assert result.status == "not-validated"
    assert "no way" in result.reason


def test_the_terminal_stays_clean(write: Writer, capfd: pytest.CaptureFixture[str]) -> None:
    validate(write(NEG), write(ABS))
    assert capfd.readouterr() == ("", "")


def test_the_users_folder_is_not_imported_from(
    write: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('wrong numpy')")
    monkeypatch.chdir(tmp_path)
    assert validate(write(NEG), write(NEG)).passed


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def _until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interruption_leaves_nothing_behind(
    write: Writer, tmp_path: Path, number: signal.Signals
) -> None:
    temporary, started = tmp_path / "temporary", tmp_path / "started"
    temporary.mkdir()
    code = (
        "import sys, tempfile\n"
        "from onnxopt.runtime import child\n"
        "from onnxopt.runtime.validate import validate\n"
        f"tempfile.tempdir = {str(temporary)!r}\n"
        f"child.WORKER = [sys.executable, '-P', {str(FAILING)!r}, 'hang', 'reference-run']\n"
        f"path = {str(write(NEG))!r}\n"
        f"note = lambda *step: open({str(started)!r}, 'a').write(step[1] + '\\n')\n"
        "validate(path, path, on_progress=note)\n"
    )
    root = str(Path(child.__file__).parents[2])
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": root},
        stderr=subprocess.DEVNULL,
    )
    try:
        assert _until(lambda: started.exists() and "reference-run" in started.read_text())
        listed = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        children = [int(pid) for pid in listed]
        assert children
        parent.send_signal(number)
        parent.wait(20)
        assert _until(lambda: not any(_alive(pid) for pid in children))
        assert _until(lambda: list(temporary.iterdir()) == [])
    finally:
        parent.kill()
        parent.wait()
