"""The voice activity detector of ``../shared/models`` on a minute of speech: half to calibrate on, all of it to be judged on.

A run takes 512 samples of sound with the 64 before them, and the state that the run before gave.
"""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .shared_models import FOLDER, session

MODEL = FOLDER / "silero_vad.onnx"
STATE = {"stateN": "state"}
"""What is fed back, as ``--state`` has it."""
THRESHOLD = 0.5
_RATE, _CHUNK, _CONTEXT = 16000, 512, 64
_SPLIT = 30 * _RATE

Array = np.ndarray[Any, Any]


def sound() -> Array:
    """The recording, float32 in [-1, 1)."""
    with wave.open(str(FOLDER / "speech.wav")) as stream:
        raw = stream.readframes(stream.getnframes())
    return np.frombuffer(raw, np.int16).astype(np.float32) / np.float32(32768.0)


def chunks(signal: Array) -> Iterator[dict[str, Array]]:
    """Yields a run's inputs for each chunk, but the state: ``input`` float32 [1, 576], ``sr`` int64 []."""
    padded = np.concatenate([np.zeros(_CONTEXT, np.float32), signal])
    for start in range(0, len(signal) - _CHUNK + 1, _CHUNK):
        part = padded[start : start + _CONTEXT + _CHUNK]
        yield {"input": np.ascontiguousarray(part[None]), "sr": np.array(_RATE, np.int64)}


def calibration() -> Iterator[Iterator[dict[str, Array]]]:
    """What ``--calibrate bench_lib.quantize.speech:calibration`` reads: the first half minute, one sequence."""
    yield chunks(sound()[:_SPLIT])


def evaluation() -> Iterator[Iterator[dict[str, Array]]]:
    """The second half minute, one sequence."""
    yield chunks(sound()[_SPLIT:])


def probabilities(model: Path, signal: Array) -> Array:
    """What the detector says of each chunk, float32 [chunks], its state fed back."""
    running = session(model)
    state = np.zeros((2, 1, 128), np.float32)
    found = []
    for feed in chunks(signal):
        output, state = running.run(["output", "stateN"], {**feed, "state": state})
        found.append(float(output[0, 0]))
    return np.asarray(found, np.float32)


def evaluate(model: Path, reference: Path = MODEL) -> dict[str, float]:
    """Compares the decisions of two detectors.

    Args:
        model: The detector to judge.
        reference: The float32 one.

    Returns:
        Shares of equal decisions at a threshold of 0.5: ``agreement`` in the whole minute, ``unseen`` in the half that
        calibration did not see; ``mean_abs``, the mean difference of probabilities; ``chunks``.
    """
    signal = sound()
    ours, theirs = probabilities(model, signal), probabilities(reference, signal)
    same = (ours > THRESHOLD) == (theirs > THRESHOLD)
    return {
        "agreement": float(same.mean()),
        "unseen": float(same[_SPLIT // _CHUNK :].mean()),
        "mean_abs": float(np.abs(ours - theirs).mean()),
        "chunks": float(len(same)),
    }
