"""Dividing the time for measuring among the races still to come."""

from __future__ import annotations

import time
from collections.abc import Callable


class Budget:
    """Seconds, shared equally among races; what one leaves goes to the others.

    Args:
        seconds: How long all races may take together.
        races: How many there are at most.
        clock: Tells the time in seconds.
    """

    def __init__(
        self, seconds: float, races: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._end = clock() + seconds
        self._left = max(races, 1)
        self._share = self._end
        self._round: float | None = None

    def skip(self) -> None:
        """Counts off a race that need not be run."""
        self._left = max(self._left - 1, 1)

    def begin(self) -> None:
        """Gives the race that begins now its share of what is left."""
        now = self._clock()
        self._share = now + (self._end - now) / self._left
        self.skip()

    def allows(self) -> bool:
        """Tells whether another round would end within the share, going by the longest so far."""
        return self._clock() + (self._round or 0.0) < self._share

    def took(self, seconds: float) -> None:
        """Notes how long a round took."""
        self._round = max(seconds, self._round or 0.0)

    def now(self) -> float:
        """The time, in seconds."""
        return self._clock()
