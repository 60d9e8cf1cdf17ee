"""Which of two models is faster, as far as noisy clocks can tell.

Rounds give pairs of times; only their ratios count, so what slows both does not matter. A challenger is faster
when the median ratio is below 1 by more than the noise, when most rounds agree, and when its fastest run agrees.
The noise is two standard errors of the median, at least `LEAST_GAIN`.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ..runtime.stopwatch import Round

Verdict = Literal["faster", "slower", "alike", "undecided"]
LEAST_GAIN = 0.02
"""Differences below this share of the time count as none."""
MIN_ROUNDS = 5
"""Fewer decide nothing."""
MAX_ROUNDS = 15
_CLEAR = 3.0
_AGREE = 0.85
# A median absolute deviation times this estimates a standard deviation, and the standard error of a median is
# this much larger than that of a mean.
_DEVIATION = 1.4826
_MEDIAN = 1.2533


@dataclass
class Race:
    """Rounds of an incumbent against a challenger.

    Attributes:
        rounds: Laps of the incumbent and the challenger, a pair a round.
        broken: Which does not run, 0 for the incumbent, 1 for the challenger, if one does not.
        reason: Why there are no more rounds, where something went wrong.
    """

    rounds: list[Round] = field(default_factory=list)
    broken: int | None = None
    reason: str = ""

    @property
    def ratios(self) -> list[float]:
        """The challenger's time over the incumbent's, by round."""
        return [second.median / first.median for first, second in self.rounds]

    @property
    def ratio(self) -> float | None:
        """The median of the ratios."""
        return statistics.median(self.ratios) if self.rounds else None

    @property
    def noise(self) -> float:
        """How far from 1 the ratio must be to mean something."""
        if len(self.rounds) < 2:
            return math.inf
        return max(LEAST_GAIN, 2 * self._error())

    @property
    def verdict(self) -> Verdict:
        """How the challenger does."""
        if self.broken is not None:
            return "slower" if self.broken else "faster"
        ratio = self.ratio
        if ratio is None or len(self.rounds) < MIN_ROUNDS:
            return "undecided"
        if ratio < 1 - self.noise and self._agreed(1) and self._best() < 1:
            return "faster"
        if ratio > 1 + self.noise and self._agreed(-1) and self._best() > 1:
            return "slower"
        return "alike"

    @property
    def settled(self) -> bool:
        """Whether further rounds would hardly change the verdict."""
        count = len(self.rounds)
        if self.reason or self.broken is not None or count >= MAX_ROUNDS:
            return True
        if count < MIN_ROUNDS or self.ratio is None:
            return False
        away, error = abs(self.ratio - 1), self._error()
        same = away + 2 * error < LEAST_GAIN
        return same or (away > _CLEAR * self.noise and self.verdict != "alike")

    def times(self) -> tuple[float, float] | None:
        """Medians of the incumbent's and the challenger's times, in seconds."""
        if not self.rounds:
            return None
        return (
            statistics.median(first.median for first, _ in self.rounds),
            statistics.median(second.median for _, second in self.rounds),
        )

    def _error(self) -> float:
        ratios = self.ratios
        middle = statistics.median(ratios)
        deviation = _DEVIATION * statistics.median(abs(ratio - middle) for ratio in ratios)
        return _MEDIAN * deviation / math.sqrt(len(ratios))

    def _agreed(self, sign: int) -> bool:
        votes = sum(1 for ratio in self.ratios if sign * (1 - ratio) > 0)
        return votes >= _AGREE * len(self.rounds)

    def _best(self) -> float:
        return min(s.least for _, s in self.rounds) / min(f.least for f, _ in self.rounds)
