"""The trained digits classifier: what it was trained on to calibrate with, what was held out to test it on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import models

_FOLDER = Path(models.__file__).parent
Sample = dict[str, np.ndarray[Any, Any]]


def calibration() -> Iterator[Sample]:
    """Images that the network was trained on, float32 [1, 1, 8, 8].

    Raises:
        ModuleNotFoundError: scikit-learn is not installed.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    split = json.loads((_FOLDER / "digits_cnn.json").read_text())["split"]
    found = load_digits()
    images, _, _, _ = train_test_split(
        found.images.astype(np.float32)[:, None],
        found.target,
        test_size=split["held_out_fraction"],
        random_state=split["seed"],
        stratify=found.target,
    )
    yield from ({"images": image[None]} for image in images)


def evaluation() -> Iterator[Sample]:
    """The images that were held out."""
    yield from ({"images": image[None]} for image in _held_out()[0])


def evaluate(model: Path, reference: Path) -> dict[str, float]:
    """The share of held-out images that a model classifies rightly, and how many points that is below the float model's."""
    mine, floats = _accuracy(model), _accuracy(reference)
    return {"accuracy": mine, "points": 100 * (mine - floats)}


def _accuracy(model: Path) -> float:
    from bench_lib.sessions import open_session

    images, labels = _held_out()
    (scores,) = open_session(model, threads=1).run(None, {"images": images})
    return float((scores.argmax(1) == labels).mean())


def _held_out() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    with np.load(_FOLDER / "digits_test.npz") as stored:
        return stored["images"].astype(np.float32), stored["labels"]
