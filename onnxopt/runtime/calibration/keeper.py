"""What takes the values that a model computes on samples, whatever it makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np


class Keeper(Protocol):
    """Takes values.

    Attributes:
        refused: why a value is no longer taken, by name.
    """

    refused: dict[str, str]

    def observe(self, number: int, where: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Takes the values of a sample, which are not to be kept.

        Args:
            number: the sample's number, from 0.
            where: the sample, for messages.
            arrays: values by name.
        """

    def behind(self, names: Iterable[str]) -> int:
        """The least number of samples that one of the values has had already."""

    def save_in_time(self) -> None:
        """Saves what would be lost, if that was some time ago."""
