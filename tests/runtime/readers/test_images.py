"""Folders of pictures."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onnxopt.errors import RuntimeMissingError, UsageError
from onnxopt.runtime.facts import InputSpec
from onnxopt.runtime.readers.opening import open_reader
from onnxopt.runtime.readers.options import ImageOptions, ReaderOptions

Spec = Callable[..., InputSpec]


def _arrays(folder: Path, spec: InputSpec, **options: object) -> list[np.ndarray]:
    chosen = ReaderOptions(images=ImageOptions(**options))  # type: ignore[arg-type]
    return [s.feed[spec.name] for s in open_reader(f"images:{folder}", [spec], options=chosen)]


@pytest.fixture
def pixels(tmp_path: Path, rng: np.random.Generator) -> np.ndarray:
    """Two pictures, 4 high and 6 wide, of random pixels; beside them is what is no picture."""
    pixels = rng.integers(0, 256, (2, 4, 6, 3)).astype(np.uint8)
    (tmp_path / "class").mkdir()
    Image.fromarray(pixels[0]).save(tmp_path / "a.png")
    Image.fromarray(pixels[1]).save(tmp_path / "class" / "b.PNG")
    (tmp_path / "notes.txt").write_text("not a picture")
    return pixels


def test_without_pillow(tmp_path: Path, spec: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(RuntimeMissingError, match=r"install onnxopt\[images\]"):
        open_reader(f"images:{tmp_path}", [spec("x", 1, 3, 4, 6)])


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((1, 3), {}, "'x' is of rank 2"),
        ((1, 5, 4, 6), {}, "has 5 channels in layout nchw, rgb gives 3"),
        ((1, 3, 4, 6), {"channels": "gray"}, "has 3 channels in layout nchw, gray gives 1"),
        ((1, 3, 4, 6), {"mean": (0.5, 0.5)}, "mean has 2 numbers: give 1, or 3"),
        ((1, 1, 4, 6), {"mean": (0.5, 0.5)}, "mean has 2 numbers: give 1$"),
        ((2, 3, "H", "W"), {}, "holds 2 pictures: say --size"),
        ((1, 3, 4, 6), {"std": (0.0,)}, "std of 0"),
        ((1, 3, 4, 6), {"layout": "hwc"}, "use nchw or nhwc"),
    ],
)
def test_what_does_not_fit(
    tmp_path: Path,
    spec: Spec,
    shape: tuple[int | str, ...],
    options: dict[str, object],
    message: str,
) -> None:
    with pytest.raises(UsageError, match=message):
        _arrays(tmp_path, spec("x", *shape), **options)


def test_nothing_or_nonsense(tmp_path: Path, spec: Spec) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        _arrays(tmp_path / "none", spec("x", 1, 3, 4, 6))
    with pytest.raises(UsageError, match="holds no pictures"):
        _arrays(tmp_path, spec("x", 1, 3, 4, 6))
    (tmp_path / "a.jpg").write_bytes(b"nonsense")
    with pytest.raises(UsageError, match=r"a\.jpg: cannot be decoded"):
        _arrays(tmp_path, spec("x", 1, 3, 4, 6))


def test_defaults_follow_from_the_shape(tmp_path: Path, spec: Spec, pixels: np.ndarray) -> None:
    first, second = _arrays(tmp_path, spec("x", 1, 3, 4, 6))
    assert first.dtype == np.float32
    np.testing.assert_allclose(first[0], pixels[0].transpose(2, 0, 1) / 255, rtol=1e-6)
    np.testing.assert_allclose(second[0], pixels[1].transpose(2, 0, 1) / 255, rtol=1e-6)
    (last, _) = _arrays(tmp_path, spec("x", "N", 4, 6, 3, dtype="uint8"))
    np.testing.assert_array_equal(last[0], pixels[0])


def test_normalised_and_blue_first(tmp_path: Path, spec: Spec, pixels: np.ndarray) -> None:
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    first, _ = _arrays(tmp_path, spec("x", 1, 3, 4, 6), mean=mean, std=std, channels="bgr")
    wanted = (pixels[0][..., ::-1] / 255 - np.array(mean)) / np.array(std)
    np.testing.assert_allclose(first[0], wanted.transpose(2, 0, 1), rtol=1e-4, atol=1e-6)


def test_sizes(tmp_path: Path, spec: Spec, pixels: np.ndarray) -> None:
    assert pixels.shape[1:3] == (4, 6)
    shape = ("N", 3, "H", "W")
    assert [a.shape for a in _arrays(tmp_path, spec("x", *shape))] == [(1, 3, 4, 6)] * 2
    assert _arrays(tmp_path, spec("x", *shape), size=(8, 5))[0].shape == (1, 3, 8, 5)
    assert _arrays(tmp_path, spec("x", 1, 1, 9, 7))[0].shape == (1, 1, 9, 7)


def test_a_fixed_batch_is_filled(tmp_path: Path, spec: Spec, pixels: np.ndarray) -> None:
    (batch,) = _arrays(tmp_path, spec("x", 3, 4, 6, 3, dtype="uint8"))
    np.testing.assert_array_equal(batch, pixels[[0, 1, 1]])
