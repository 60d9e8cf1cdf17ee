"""The face detector of ``../shared/models`` on photographs: crops to calibrate on, others to compare with float32 on.

Photographs for calibration and for tests are different ones. Of each there are the whole, its mirror image, and crops at three
scales, so that faces occur at many sizes and places.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .shared_models import FOLDER, session

MODEL = FOLDER / "ultraface_rfb_320.onnx"
OPTIONS = {"mean": (127.0,), "std": (128.0,), "scale": 1.0}
"""How pictures become the detector's input, as options of ``onnxopt quantize``."""
FOLDS = (("1.jpg", "5.jpg", "10.jpg"), ("2.jpg", "3.jpg", "8.jpg"))
"""Photographs for calibration, and for tests; or the other way round."""
SCORE, SAME = 0.7, 0.5
_SIZE = (320, 240)
_OVERLAP = 0.3
_CROPS = ((0.75, 3), (0.5, 4), (0.35, 5))

Array = np.ndarray[Any, Any]


def write_calibration(folder: Path, fold: int = 0) -> None:
    """Writes the pictures that ``--calibrate images:FOLDER`` reads.

    Args:
        folder: Where to; it is made.
        fold: Which photographs they are of.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures(FOLDS[fold])):
        picture.save(folder / f"{number:03}.png")


def pictures(names: tuple[str, ...]) -> Iterator[Any]:
    """Yields pictures of the detector's size: photographs, mirror images, crops."""
    from PIL import Image, ImageOps

    def sized(picture: Any) -> Any:
        return picture.resize(_SIZE, Image.Resampling.BILINEAR)

    for name in names:
        with Image.open(FOLDER / "images" / name) as opened:
            whole = opened.convert("RGB")
        yield sized(whole)
        yield sized(ImageOps.mirror(whole))
        for share, steps in _CROPS:
            for box in _boxes(whole.size, share, steps):
                yield sized(whole.crop(box))


def _boxes(size: tuple[int, int], share: float, steps: int) -> Iterator[tuple[int, int, int, int]]:
    """Places of crops: a grid that reaches all borders, every other one of it."""
    width, height = (round(side * share) for side in size)
    for number in range(0, steps * steps, 2):
        row, column = divmod(number, steps)
        left = round((size[0] - width) * column / (steps - 1))
        top = round((size[1] - height) * row / (steps - 1))
        yield left, top, left + width, top + height


def feeds(names: tuple[str, ...]) -> Iterator[dict[str, Array]]:
    """Yields the detector's input, float32 [1, 3, 240, 320], for each picture."""
    for picture in pictures(names):
        pixels = (np.asarray(picture, np.float32) - np.float32(127.0)) / np.float32(128.0)
        yield {"input": np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])}


def calibration() -> Iterator[dict[str, Array]]:
    """Samples to calibrate on: of the first photographs."""
    return feeds(FOLDS[0])


def evaluation() -> Iterator[dict[str, Array]]:
    """Samples apart from those: of the other photographs."""
    return feeds(FOLDS[1])


def evaluate(model: Path, reference: Path = MODEL, fold: int = 0) -> dict[str, float]:
    """Compares the faces that two detectors find on photographs that calibration did not see.

    A face is a box whose score is above 0.7 and that no better one overlaps by an IoU of 0.3. One of the model is that of the
    reference with which it has an IoU of 0.5 or more, the best pairs first.

    Args:
        model: The detector to judge.
        reference: The float32 one.
        fold: Which photographs calibration saw.

    Returns:
        ``iou``, the mean over pairs; ``f1`` of faces; ``faces``, how many the reference finds; ``pictures``.
    """
    ours, theirs = session(model), session(reference)
    overlaps: list[float] = []
    found = wanted = count = 0
    for feed in feeds(FOLDS[1 - fold]):
        mine, right = (detect(*one.run(["scores", "boxes"], feed)) for one in (ours, theirs))
        overlaps += matched(mine, right)
        found, wanted, count = found + len(mine), wanted + len(right), count + 1
    return {
        "iou": float(np.mean(overlaps)) if overlaps else 0.0,
        "f1": 2.0 * len(overlaps) / max(found + wanted, 1),
        "faces": float(wanted),
        "pictures": float(count),
    }


def detect(scores: Array, boxes: Array) -> Array:
    """The faces [n, 4] of one picture, as corners, from scores [1, m, 2] and boxes [1, m, 4]."""
    sure = scores[0, :, 1] > SCORE
    left = boxes[0, sure][np.argsort(-scores[0, sure, 1], kind="stable")]
    kept: list[Array] = []
    while len(left):
        kept.append(left[0])
        left = left[1:][intersections(left[:1], left[1:])[0] <= _OVERLAP]
    return np.asarray(kept, np.float32).reshape(-1, 4)


def intersections(ours: Array, theirs: Array) -> Array:
    """IoU of boxes [n, 4] with boxes [m, 4]: [n, m]."""
    low = np.maximum(ours[:, None, :2], theirs[None, :, :2])
    high = np.minimum(ours[:, None, 2:], theirs[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=-1)
    areas = [np.prod(np.maximum(b[:, 2:] - b[:, :2], 0.0), axis=-1) for b in (ours, theirs)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    return np.asarray(shared / np.maximum(union, 1e-12))


def matched(ours: Array, theirs: Array) -> list[float]:
    """IoU of each pair of boxes [n, 4] and [m, 4], best first, each box in one pair at most."""
    table = intersections(ours, theirs)
    pairs: list[float] = []
    while table.size:
        row, column = np.unravel_index(int(table.argmax()), table.shape)
        if table[row, column] < SAME:
            break
        pairs.append(float(table[row, column]))
        table = np.delete(np.delete(table, row, 0), column, 1)
    return pairs
