"""Ctrl-C while ``onnxopt quantize`` calibrates: what was gathered is kept, and the same command goes on from there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import onnx
import pytest

from onnxopt.quantization.statistics import load

from ..quantizing.support import network, write

SAMPLES = 12
HELD = 5
"""The sample that takes long, as often as there is a file `hold`."""
READER = f"""
import os, time
import numpy as np

def give():
    rng = np.random.default_rng(0)
    for number in range({SAMPLES}):
        if number == {HELD} and os.path.exists("hold"):
            open("reached", "w").close()
            while os.path.exists("hold"):
                time.sleep(0.02)
        yield {{"x": rng.normal(size=(1, 3, 12, 12)).astype(np.float32)}}
"""
COMMAND = [
    sys.executable, "-m", "onnxopt", "quantize", "model.onnx", "-o", "q.onnx", "--mode", "static",
    "--method", "minmax", "--calibrate", "reader:give", "--stats-out", "s.json", "--no-validate", "--json",
]  # fmt: skip
GIVEN = {"model.onnx", "reader.py"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a model and a reader of samples."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    write(folder, network())
    (folder / "reader.py").write_text(READER)
    return folder


def start(place: Path) -> subprocess.Popen[str]:
    """Starts the command, and returns once it calibrates with a sample that takes long."""
    (place / "hold").touch()
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(
        COMMAND, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not (place / "reached").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (place / "reached").unlink()
    return process


def finish() -> dict[str, object]:
    """Runs the command to its end."""
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(COMMAND, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, object] = json.loads(done.stdout)["quantisation"]
    return found


def files(place: Path) -> set[str]:
    return {path.name for path in place.iterdir()} - GIVEN


@pytest.mark.usefixtures("interruptible")
def test_the_same_command_goes_on_from_there(place: Path) -> None:
    process = start(place)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)  # the process hears of it before the sample ends
    (place / "hold").unlink()
    out, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    notes = json.loads(out)["quantisation"]["notes"]
    assert "calibration was interrupted; what was gathered until then is used" in notes
    assert files(place) == {"q.onnx", "s.json", "s.json.unfinished"}
    onnx.checker.check_model(onnx.load("q.onnx"), full_check=True)
    assert HELD <= load(place / "s.json").samples < SAMPLES
    early = (place / "q.onnx").read_bytes()

    resumed = finish()
    assert not any("interrupted" in note for note in resumed["notes"])  # type: ignore[attr-defined]
    assert files(place) == {"q.onnx", "s.json"}
    statistics, model = (place / "s.json").read_bytes(), (place / "q.onnx").read_bytes()
    assert load(place / "s.json").samples == SAMPLES
    assert model != early

    (place / "s.json").unlink()
    finish()
    assert (place / "s.json").read_bytes() == statistics
    assert (place / "q.onnx").read_bytes() == model


@pytest.mark.usefixtures("interruptible")
def test_a_second_one_ends_the_command_and_spoils_nothing(place: Path) -> None:
    """The sample never ends, so that the first is in vain."""
    process = start(place)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=120)
    assert (process.returncode, out, errors.strip()) == (130, "", "error: interrupted")
    (place / "hold").unlink()
    assert files(place) <= {"s.json", "s.json.unfinished"}
    finish()
    assert files(place) == {"q.onnx", "s.json"}
    assert load(place / "s.json").samples == SAMPLES
