"""Timing a candidate: rounds end when all agree whether it is worth it, or there are enough."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxopt.compiler.options import Options
from onnxopt.compiler.race import Race
from onnxopt.quantizing.speed import race
from onnxopt.runtime import stopwatch
from onnxopt.runtime.stopwatch import CannotTime, Round
from onnxopt.runtime.timing_job import Lap


class Paper:
    """A stopwatch that reads ratios off a list."""

    ratios: Iterator[float]

    def __init__(self, *_: object, **__: object) -> None:
        self.sample: dict[str, Any] = {}

    def __enter__(self) -> Paper:
        return self

    def __exit__(self, *_: object) -> None:
        self.sample.clear()

    def take_sample(self, feed: dict[str, Any]) -> None:
        self.sample.update(feed)

    def round(self, first: Path, second: Path) -> Round:
        assert (first.name, second.name) == ("float", "quantised")
        assert self.sample
        try:
            ratio = next(self.ratios)
        except StopIteration:
            raise CannotTime("no more", 1) from None
        return Lap(1.0, 0.9, 9), Lap(ratio, 0.9 * ratio, 9)


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(ratios: list[float], seconds: float = 60.0) -> Race:
        monkeypatch.setattr(Paper, "ratios", iter(ratios), raising=False)
        monkeypatch.setattr(stopwatch, "Stopwatch", Paper)
        feed = {"x": np.ones(3, np.float32)}
        return race(Path("float"), Path("quantised"), feed, Options(), seconds)

    return run


@pytest.mark.parametrize(
    ("ratios", "rounds"),
    [
        ([0.5, 0.6, 0.5, 0.5], 3),
        ([1.3, 1.1, 1.2, 1.2], 3),
        ([0.9, 0.96, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9], 7),
        ([0.9, 0.94, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9], 7),
        ([0.9, 1.2, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9], 7),
    ],
)
def test_rounds_end_when_all_agree(timed: Any, ratios: list[float], rounds: int) -> None:
    found = timed(ratios)
    assert len(found.rounds) == rounds
    assert found.ratio == sorted(ratios[:rounds])[rounds // 2]


def test_two_rounds_are_timed_even_when_time_is_up(timed: Any) -> None:
    assert len(timed([0.5] * 9, seconds=0.0).rounds) == 2


def test_a_model_that_stops_running_ends_the_race(timed: Any) -> None:
    found = timed([0.5])
    assert (len(found.rounds), found.broken, found.reason) == (1, 1, "no more")
