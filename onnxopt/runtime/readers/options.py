"""How samples are to be read: what the user said beside the place where they lie."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from onnxopt.errors import UsageError

Layout = Literal["nchw", "nhwc"]
Channels = Literal["rgb", "bgr", "gray"]


@dataclass(frozen=True)
class ImageOptions:
    """How an image becomes an array: (pixel * scale - mean) / std, channel by channel.

    Attributes:
        mean: one number, or one a channel, in units of scaled pixels; empty for 0.
        std: likewise; empty for 1.
        size: height and width; None for the model's, or the image's own where the model takes any.
        layout: order of axes; None to take it from the model's shape.
        channels: order of colours; None for what the model's shape says, red first where it has three.
        scale: factor of pixels 0 to 255; None for 1/255 where the input is a float, else 1.
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    size: tuple[int, int] | None = None
    layout: Layout | None = None
    channels: Channels | None = None
    scale: float | None = None

    def __post_init__(self) -> None:
        if self.layout not in (None, "nchw", "nhwc"):
            raise UsageError(f"layout {self.layout!r}: use nchw or nhwc")
        if self.channels not in (None, "rgb", "bgr", "gray"):
            raise UsageError(f"channels {self.channels!r}: use rgb, bgr or gray")
        if self.size is not None and min(self.size) < 1:
            raise UsageError(f"image size {self.size}: height and width are numbers from 1 up")
        if any(value == 0 for value in self.std):
            raise UsageError("a std of 0 divides by zero: give the spread of each channel, or 1")


@dataclass(frozen=True)
class ReaderOptions:
    """How to read.

    Attributes:
        limit: read this many samples at most; None for all.
        fed_back: inputs that state is fed back to: a sample need not hold them.
        optional: inputs that may be fed but have a value of their own.
        images: how images become arrays.
        folder: where a module of the user's is looked for first; '' for none.
    """

    limit: int | None = None
    fed_back: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    images: ImageOptions = field(default_factory=ImageOptions)
    folder: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict; `from_json` reads it back."""
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> ReaderOptions:
        """Inverse of `to_json`."""
        images = {key: _tuple(value) for key, value in data["images"].items()}
        rest = {key: _tuple(value) for key, value in data.items() if key != "images"}
        return ReaderOptions(**rest, images=ImageOptions(**images))


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
