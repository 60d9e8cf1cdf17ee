"""Statistics of one tensor, gathered sample by sample in memory that does not grow.

They are a function of the multiset of samples: any order of them, and any merging of statistics of
parts, gives the same to the last bit. That is why the moving average is the plain mean over the samples
of each one's range. An exponential one, as trainers use, depends on the order, so that neither shards
nor sites could be merged. Over a fixed set of samples there is nothing to forget, either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .channels import ChannelStatistics
from .floats import as_float32, limits, stored
from .histogram import Histogram
from .wants import Wants

Array = np.ndarray[Any, Any]
# Every float32 is a multiple of 2**-149; Python's integers add such multiples exactly.
_UNIT = 149


@dataclass
class TensorStatistics:
    """What was seen of one tensor.

    Attributes:
        wants: What is gathered.
        low: The smallest value; 0 before any.
        high: The largest.
        count: How many values were seen.
        samples: How many samples, those without an element aside.
        low_sum: The sum over samples of the smallest value, in units of 2**-149.
        high_sum: That of the largest.
        histogram: Counts of all values, if wanted.
        channels: Statistics of each channel, if wanted.
        ranges: What ranges were chosen from these statistics as they are, by whatever determines a choice: a model is
            quantised many times on the same statistics, and searching takes longer than all else.
    """

    wants: Wants = field(default_factory=Wants)
    low: float = 0.0
    high: float = 0.0
    count: int = 0
    samples: int = 0
    low_sum: int = 0
    high_sum: int = 0
    histogram: Histogram | None = None
    channels: ChannelStatistics | None = None
    ranges: dict[Any, tuple[float, float]] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.wants.histogram and self.histogram is None:
            self.histogram = Histogram()
        if self.wants.channels is not None and self.channels is None:
            self.channels = ChannelStatistics(self.wants.channels)

    @property
    def mean_range(self) -> tuple[float, float]:
        """The means over samples of the smallest and of the largest value; (0, 0) before any."""
        if not self.samples:
            return 0.0, 0.0
        whole = self.samples << _UNIT
        return self.low_sum / whole, self.high_sum / whole

    def update(self, array: Array) -> None:
        """Adds what a tensor is in one sample.

        Args:
            array: Floats of any shape; nothing happens if it has no element.

        Raises:
            ValueError: It isn't of floats, a value isn't finite in float32, or its shape lacks the
                channels that were seen before. Nothing was added.
        """
        array = as_float32(array)
        if not array.size:
            return
        if self.channels is not None:
            self.channels.check(array.shape)
        low, high = limits(array)
        self._extend(low, high, array.size)
        self.samples += 1
        self.low_sum += _units(low)
        self.high_sum += _units(high)
        if self.histogram is not None:
            self.histogram.update(array, (low, high))
        if self.channels is not None:
            self.channels.update(array)

    def check_alike(self, other: TensorStatistics) -> None:
        """Looks whether other statistics can be merged.

        Raises:
            ValueError: Other things were gathered, or other channels.
        """
        if other.wants != self.wants:
            raise ValueError(f"has statistics of {self.wants} here, and of {other.wants} there")
        if self.channels is not None and other.channels is not None:
            self.channels.check_alike(other.channels)

    def merge(self, other: TensorStatistics) -> None:
        """Adds what was seen in other samples.

        Raises:
            ValueError: Other things were gathered of them, or other channels. Nothing was added.
        """
        self.check_alike(other)
        if not other.samples:
            return
        if self.channels is not None and other.channels is not None:
            self.channels.merge(other.channels)
        self._extend(other.low, other.high, other.count)
        self.samples += other.samples
        self.low_sum += other.low_sum
        self.high_sum += other.high_sum
        if self.histogram is not None and other.histogram is not None:
            self.histogram.merge(other.histogram)

    def _extend(self, low: float, high: float, count: int) -> None:
        self.low = min(low, self.low) if self.count else low
        self.high = max(high, self.high) if self.count else high
        self.count += count
        self.ranges.clear()

    def to_json(self) -> dict[str, Any]:
        """Plain data, from which ``from_json`` makes the same statistics."""
        return {
            "wants": self.wants.to_json(),
            "low": self.low,
            "high": self.high,
            "count": self.count,
            "samples": self.samples,
            # As text: other readers of JSON would round integers of this length.
            "low_sum": f"{self.low_sum:x}",
            "high_sum": f"{self.high_sum:x}",
            "histogram": None if self.histogram is None else self.histogram.to_json(),
            "channels": None if self.channels is None else self.channels.to_json(),
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> TensorStatistics:
        """Reads what ``to_json`` gave.

        Raises:
            ValueError: It isn't such data.
            KeyError: A part is missing.
        """
        wants = Wants.from_json(data["wants"])
        histogram, channels = data["histogram"], data["channels"]
        return TensorStatistics(
            wants,
            stored(data["low"]),
            stored(data["high"]),
            int(data["count"]),
            int(data["samples"]),
            int(data["low_sum"], 16),
            int(data["high_sum"], 16),
            Histogram.from_json(histogram) if wants.histogram else None,
            ChannelStatistics.from_json(channels) if wants.channels is not None else None,
        )


def _units(value: float) -> int:
    return int(math.ldexp(value, _UNIT))
