"""How long the build takes beside the other model: both with default session options, round by round in turn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..compiler.race import MAX_ROUNDS, MIN_ROUNDS, Race
from .verdict import CannotMeasure, Finding

if TYPE_CHECKING:
    from ..runtime.stopwatch import Round
    from .subject import Subject

_MODELS = {0: "the other model", 1: "the build"}


class Watch(Protocol):
    """What times two models in one round."""

    def round(self, first: Path, second: Path) -> Round:
        """Times them, in this order."""
        ...


def max_latency_ratio(subject: Subject, limit: float) -> Finding:
    """The median over rounds of the build's time over the other model's, on the largest sample."""
    from ..runtime.stopwatch import CannotTime, Stopwatch

    settings = subject.settings
    first, second = subject.reference.path, subject.build.path
    with Stopwatch(subject.provider, subject.libraries, settings.timeout) as watch:
        settings.stage("timing")
        try:
            watch.pick_sample(first, subject.feeds)
            race = rounds(watch, first, second, limit)
        except CannotTime as error:
            who = f"{_MODELS[error.model]}: " if error.model is not None else ""
            raise CannotMeasure(f"{who}{error}") from None
    return judge(race, limit)


def rounds(watch: Watch, first: Path, second: Path, limit: float) -> Race:
    """Times two models until the ratio is clear of the limit, `MAX_ROUNDS` times at most.

    Args:
        watch: What times them.
        first: The model to be beside.
        second: The build.
        limit: What the ratio is held against.

    Raises:
        CannotTime: One of them does not run.
    """
    race = Race()
    while len(race.rounds) < MAX_ROUNDS and not _clear(race, limit):
        race.rounds.append(watch.round(first, second))
    return race


def judge(race: Race, limit: float) -> Finding:
    """Holds the median ratio against the limit."""
    ratio, times = race.ratio, race.times()
    assert ratio is not None
    assert times is not None
    detail = (
        f"{1000 * times[1]:.3g} ms over {1000 * times[0]:.3g} ms, median of {len(race.rounds)}"
        f" rounds, noise {race.noise:.2f}"
    )
    return Finding(ratio, ratio <= limit, detail)


def _clear(race: Race, limit: float) -> bool:
    ratio = race.ratio
    if ratio is None or len(race.rounds) < MIN_ROUNDS:
        return False
    return abs(ratio - limit) > race.noise * ratio
