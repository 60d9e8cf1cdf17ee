"""Statistics of each channel of a tensor: what SmoothQuant, bias correction and equalisation ask for.

Sums over the elements of a sample are numpy's, in float64; sums over samples are exact, so that the
order of samples and the merging of parts make no difference.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .exact import ExactSum
from .packing import pack, unpack

Array = np.ndarray[Any, Any]
_BLOCK = 1 << 18  # elements that are widened to float64 at a time


class ChannelStatistics:
    """Statistics of each channel.

    Attributes:
        axis: The axis of the channels; may be negative.
        largest: float64 [C]: the largest absolute values; None before any sample.
        count: How many values a channel has had.
    """

    def __init__(self, axis: int) -> None:
        self.axis = axis
        self.largest: Array | None = None
        self.count = 0
        self._sum = ExactSum(0)
        self._squares = ExactSum(0)

    @property
    def sum(self) -> Array:
        """float64 [C]: sums of the values."""
        return self._sum.values

    @property
    def squares(self) -> Array:
        """float64 [C]: sums of the squared values."""
        return self._squares.values

    @property
    def mean(self) -> Array:
        """float64 [C]: means of the values; NaN before any sample."""
        with np.errstate(invalid="ignore"):
            return self.sum / np.float64(self.count)

    def check(self, shape: tuple[int, ...]) -> None:
        """Looks whether a sample of this shape can be added.

        Raises:
            ValueError: It lacks the axis, or has another number of channels than samples before.
        """
        if not -len(shape) <= self.axis < len(shape):
            raise ValueError(f"has the shape {list(shape)}, without an axis {self.axis}")
        channels = shape[self.axis]
        if self.largest is not None and channels != len(self.largest):
            raise ValueError(
                f"has {channels} channels on axis {self.axis}, and had {len(self.largest)} before"
            )

    def update(self, array: Array) -> None:
        """Adds a sample: float32, finite, not empty, of a shape that ``check`` accepts."""
        channels = array.shape[self.axis]
        self._start(channels)
        largest, total, squares = np.zeros((3, channels))
        rows = np.moveaxis(array, self.axis, -1).reshape(-1, channels)
        step = max(1, _BLOCK // channels)
        for start in range(0, len(rows), step):
            block = rows[start : start + step].astype(np.float64)
            total += block.sum(axis=0)
            squares += np.square(block).sum(axis=0)
            np.maximum(largest, np.abs(block).max(axis=0), out=largest)
        self._add(largest, len(rows))
        self._sum.add(total)
        self._squares.add(squares)

    def check_alike(self, other: ChannelStatistics) -> None:
        """Looks whether other statistics can be merged.

        Raises:
            ValueError: They have another number of channels.
        """
        if self.largest is None or other.largest is None:
            return
        if len(self.largest) != len(other.largest):
            raise ValueError(
                f"has {len(self.largest)} channels here, and {len(other.largest)} there"
            )

    def merge(self, other: ChannelStatistics) -> None:
        """Adds the statistics of other samples, which ``check_alike`` accepts."""
        if other.largest is None:
            return
        self._start(len(other.largest))
        self._add(other.largest, other.count)
        self._sum.merge(other._sum)
        self._squares.merge(other._squares)

    def _start(self, channels: int) -> None:
        if self.largest is None:
            self.largest = np.zeros(channels)
            self._sum, self._squares = ExactSum(channels), ExactSum(channels)

    def _add(self, largest: Array, count: int) -> None:
        self.largest = np.maximum(largest, 0.0 if self.largest is None else self.largest)
        self.count += count

    def to_json(self) -> dict[str, Any]:
        """Plain data, from which ``from_json`` makes the same statistics."""
        largest = np.zeros(0) if self.largest is None else self.largest
        return {
            "axis": self.axis,
            "channels": len(largest),
            "count": self.count,
            # As the bits of float32, which the values are.
            "largest": pack(largest.astype(np.float32).view(np.int32).astype(np.int64)),
            "sum": self._sum.to_json(),
            "squares": self._squares.to_json(),
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> ChannelStatistics:
        """Reads what ``to_json`` gave.

        Raises:
            ValueError: It isn't such data.
            KeyError: A part is missing.
        """
        result = ChannelStatistics(int(data["axis"]))
        channels, result.count = int(data["channels"]), int(data["count"])
        if channels < 0 or result.count < 0 or (channels == 0) != (result.count == 0):
            raise ValueError("its channels are impossible")
        if not channels:
            return result
        bits = unpack(data["largest"], channels).astype(np.int32)
        result.largest = bits.view(np.float32).astype(np.float64)
        if not (np.isfinite(result.largest).all() and (result.largest >= 0).all()):
            raise ValueError("its channels are impossible")
        result._sum = ExactSum.from_json(data["sum"], channels)
        result._squares = ExactSum.from_json(data["squares"], channels)
        return result
