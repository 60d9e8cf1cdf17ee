"""Real inputs for the trained models that lie beside the project, where they are present.

They are not part of the project; tests that need them skip without them.
"""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared" / "models"
Feed = dict[str, np.ndarray]


def require(name: str) -> Path:
    """Returns a model's path, or skips the test."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not beside the project, in ../shared/models")
    return path


def speech(seconds: float) -> np.ndarray:
    """Returns the beginning of the recording: float32[samples] in [-1, 1), 16 kHz."""
    with wave.open(str(require("speech.wav"))) as file:
        frames = file.readframes(int(seconds * file.getframerate()))
    return np.frombuffer(frames, np.int16).astype(np.float32) / 32768


def photograph(name: str, width: int, height: int) -> np.ndarray:
    """Returns a photograph: float32[height, width, 3], RGB, 0 to 255."""
    image = pytest.importorskip("PIL.Image")
    with image.open(require(f"images/{name}")) as file:
        return np.asarray(file.convert("RGB").resize((width, height)), np.float32)


def vad_feeds(count: int) -> list[Feed]:
    """Windows of speech for the voice activity detector, each with a state of its own.

    576 samples a window: 64 of context and 512 new ones.
    """
    samples = speech(4.0 + count)
    rng = np.random.default_rng(0)
    feeds = []
    for index in range(count):
        start = 16000 + index * 9000
        feeds.append(
            {
                "input": samples[None, start : start + 576],
                "state": rng.normal(scale=0.5, size=(2, 1, 128)).astype(np.float32),
                "sr": np.array(16000, np.int64),
            }
        )
    return feeds


def face_feeds() -> list[Feed]:
    """Three photographs for the face detector."""
    return [
        {"input": ((photograph(n, 320, 240) - 127) / 128).transpose(2, 0, 1)[None].copy()}
        for n in ("1.jpg", "5.jpg", "8.jpg")
    ]


def noise_feeds(count: int) -> list[Feed]:
    """Magnitude spectra of 512 samples of speech for the noise suppressor, with states."""
    samples = speech(4.0)
    rng = np.random.default_rng(1)
    feeds = []
    for index in range(count):
        window = samples[8000 + 4000 * index :][:512]
        feeds.append(
            {
                "input_2": np.abs(np.fft.rfft(window)).astype(np.float32)[None, None],
                "input_3": rng.normal(scale=0.5, size=(1, 2, 128, 2)).astype(np.float32),
            }
        )
    return feeds


def style_feeds() -> list[Feed]:
    """One photograph for the style transfer."""
    return [{"inputImage": photograph("2.jpg", 720, 720).transpose(2, 0, 1)[None].copy()}]
