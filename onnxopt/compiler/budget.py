"""Dividing the time for measuring among the races still to come."""

from __future__ import annotations

import time
from collections.abc import Callable


class Budget:
    """Seconds, shared equally among races; what one leaves goes to the others.

    A race with too few rounds decides nothing. So each gets the least number beyond its share if need be, or is given
    up as soon as it is clear that the time left does not suffice for them.

    Args:
        seconds: How long all races may take together.
        races: How many there are at most.
        least: How many rounds a race needs.
        clock: Tells the time in seconds.
    """

    def __init__(
        self,
        seconds: float,
        races: int,
        least: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._least = least
        self._clock = clock
        self._end = clock() + seconds
        self._left = max(races, 1)
        self._share = self._end
        self._round = 0.0

    def skip(self) -> None:
        """Counts off a race that need not be run."""
        self._left = max(self._left - 1, 1)

    def begin(self) -> None:
        """Gives the race that begins now its share of what is left."""
        now = self._clock()
        self._share = now + (self._end - now) / self._left
        self.skip()

    def allows(self, done: int) -> bool:
        """Tells whether there is time for another round, going by the longest so far.

        Args:
            done: Rounds that the present race has had.
        """
        needed = max(1, self._least - done)
        end = self._end if done < self._least else self._share
        return self._clock() + needed * self._round < end

    def took(self, seconds: float) -> None:
        """Notes how long a round took."""
        self._round = max(seconds, self._round)

    def now(self) -> float:
        """The time, in seconds."""
        return self._clock()
