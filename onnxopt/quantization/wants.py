"""Which statistics of a tensor are wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Wants:
    """What is kept of a tensor besides its range and counts, which always are.

    Attributes:
        histogram: Whether a histogram of all values is.
        channels: The axis of which each channel's statistics are, where they are.
    """

    histogram: bool = False
    channels: int | None = None

    def __or__(self, other: Wants) -> Wants:
        """What either wants.

        Raises:
            ValueError: They want channels of different axes.
        """
        axes = {w.channels for w in (self, other)} - {None}
        if len(axes) > 1:
            raise ValueError(
                f"channels of the axes {self.channels} and {other.channels} are wanted"
            )
        return Wants(self.histogram or other.histogram, next(iter(axes), None))

    def __str__(self) -> str:
        parts = ["range"]
        if self.histogram:
            parts.append("histogram")
        if self.channels is not None:
            parts.append(f"channels of axis {self.channels}")
        return ", ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"histogram": self.histogram, "channels": self.channels}

    @staticmethod
    def from_json(data: dict[str, Any]) -> Wants:
        """Reads what ``to_json`` gave."""
        axis = data["channels"]
        return Wants(bool(data["histogram"]), None if axis is None else int(axis))
