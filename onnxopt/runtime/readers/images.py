"""A folder of pictures: each is decoded, resized and made the array that the model's input takes.

What is not said follows from the input's shape: where the channels are, how many, and the size. A picture is
stretched to the size, by linear interpolation. Where the model takes any size and none is given, each picture keeps
its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onnxopt.errors import RuntimeMissingError, UsageError
from onnxopt.runtime.facts import Dim, InputSpec
from onnxopt.runtime.readers.options import Channels, ImageOptions, Layout, ReaderOptions
from onnxopt.runtime.readers.reader import Reader, Sample

_ENDINGS = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}


@dataclass(frozen=True)
class Recipe:
    """How a picture becomes an array, with nothing left open.

    Attributes:
        name: the input.
        dtype: its element type.
        layout: order of axes.
        channels: order of colours.
        size: height and width; None for the picture's own.
        batch: pictures in a sample.
        scale: factor of pixels.
        mean: float32, one a channel.
        std: float32, one a channel.
    """

    name: str
    dtype: str
    layout: Layout
    channels: Channels
    size: tuple[int, int] | None
    batch: int
    scale: float
    mean: np.ndarray
    std: np.ndarray

    def array(self, pixels: np.ndarray) -> np.ndarray:
        """One picture [height, width, channels] of uint8 as the model takes it, without the batch axis."""
        if self.channels == "bgr":
            pixels = pixels[..., ::-1]
        values = (pixels.astype(np.float32) * np.float32(self.scale) - self.mean) / self.std
        if self.layout == "nchw":
            values = values.transpose(2, 0, 1)
        kind = np.dtype(self.dtype)
        if kind.kind in "iu":
            limits = np.iinfo(kind)
            values = np.clip(np.rint(values), limits.min, limits.max)
        return np.ascontiguousarray(values.astype(kind))


class ImageReader(Reader):
    """Reads the pictures of a folder and those below it, in the order of their names."""

    def __init__(self, source: str, specs: Sequence[InputSpec], options: ReaderOptions) -> None:
        super().__init__(source, specs, options)
        self._pillow = _load_pillow()
        if not Path(source).is_dir():
            raise UsageError(f"{source}: no such folder: write images:FOLDER")
        self.recipe = recipe(self.wanted, options.images)

    def read(self) -> Iterator[Sample]:
        """Yields a sample for each picture, or for each few where the model's batch is fixed.

        Raises:
            UsageError: there are none, or one cannot be decoded.
        """
        paths = sorted(p for p in Path(self.source).rglob("*") if p.suffix.lower() in _ENDINGS)
        if not paths:
            raise UsageError(f"{self.source}: holds no pictures ({', '.join(sorted(_ENDINGS))})")
        batch = self.recipe.batch
        for begin in range(0, len(paths), batch):
            chosen = paths[begin : begin + batch]
            chosen += chosen[-1:] * (batch - len(chosen))  # a batch not full repeats its last
            stacked = np.stack([self._decode(path) for path in chosen])
            yield Sample(str(chosen[0]), {self.recipe.name: stacked}, begin == 0)

    def _decode(self, path: Path) -> np.ndarray:
        size = self.recipe.size
        try:
            with self._pillow.Image.open(path) as opened:
                upright = self._pillow.ImageOps.exif_transpose(opened)
                image = upright.convert("L" if self.recipe.channels == "gray" else "RGB")
            if size is not None and image.size != (size[1], size[0]):
                image = image.resize((size[1], size[0]), self._pillow.Image.Resampling.BILINEAR)
            pixels = np.asarray(image)
        except Exception as error:  # Pillow raises many unrelated classes
            why = " ".join(str(error).split())
            raise UsageError(
                f"{path}: cannot be decoded: {why}: remove it or save it anew"
            ) from error
        return self.recipe.array(pixels.reshape(*pixels.shape[:2], -1))


def recipe(specs: Sequence[InputSpec], options: ImageOptions) -> Recipe:
    """Settle how pictures become arrays.

    Args:
        specs: the inputs to feed: there must be one.
        options: what the user said.

    Raises:
        UsageError: the input takes no pictures, or the options contradict its shape.
    """
    if len(specs) != 1:
        names = ", ".join(spec.name for spec in specs) or "none"
        raise UsageError(
            f"images: the model has {len(specs)} inputs to feed ({names}), pictures are for one: use a"
            " .npz or module:function"
        )
    spec = specs[0]
    shape = spec.shape
    if shape is None or len(shape) != 4:
        told = "of unknown rank" if shape is None else f"of rank {len(shape)}"
        raise UsageError(f"images: input {spec.name!r} is {told}: pictures are for one of rank 4")
    layout = options.layout or _layout(shape)
    depth = shape[1] if layout == "nchw" else shape[3]
    height, width = shape[2:4] if layout == "nchw" else shape[1:3]
    channels = options.channels or ("gray" if depth == 1 else "rgb")
    count = 1 if channels == "gray" else 3
    if isinstance(depth, int) and depth != count:
        raise UsageError(
            f"images: input {spec.name!r} has {depth} channels in layout {layout}, {channels} gives"
            f" {count}: say --layout or --channels"
        )
    batch = shape[0] if isinstance(shape[0], int) else 1
    size = options.size
    if size is None and isinstance(height, int) and isinstance(width, int):
        size = (height, width)
    if size is None and batch > 1:
        raise UsageError(f"images: input {spec.name!r} holds {batch} pictures: say --size")
    scale = options.scale
    if scale is None:
        scale = 1.0 if "int" in spec.dtype else 1 / 255
    mean, std = _each(options.mean, 0.0, count, "mean"), _each(options.std, 1.0, count, "std")
    return Recipe(spec.name, spec.dtype, layout, channels, size, batch, scale, mean, std)


def _layout(shape: Sequence[Dim]) -> Layout:
    """Channels are last where the last axis has as many as pictures have and the second has not."""
    return "nhwc" if shape[3] in (1, 3) and shape[1] not in (1, 3) else "nchw"


def _each(given: tuple[float, ...], default: float, count: int, what: str) -> np.ndarray:
    if len(given) not in (0, 1, count):
        wanted = "1" if count == 1 else f"1, or {count}"
        raise UsageError(f"images: {what} has {len(given)} numbers: give {wanted}")
    return np.broadcast_to(np.asarray(given or (default,), np.float32), (count,))


def _load_pillow() -> Any:
    try:
        import PIL.Image
        import PIL.ImageOps
    except ImportError as error:
        raise RuntimeMissingError(
            "images: Pillow is not installed: install onnxopt[images]"
        ) from error
    return PIL
