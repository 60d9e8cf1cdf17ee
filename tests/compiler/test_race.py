"""When a race counts as won, lost or neither, and when it ends."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from onnxopt.compiler.budget import Budget
from onnxopt.compiler.race import MAX_ROUNDS, Race
from onnxopt.runtime.timing_job import Lap


def race(ratios: Sequence[float], least: float | None = None) -> Race:
    """A race with these ratios of the challenger's to the incumbent's time."""
    return Race(
        [(Lap(1.0, 0.9, 5), Lap(r, 0.9 * (r if least is None else least), 5)) for r in ratios]
    )


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [
        ([], "undecided"),
        ([0.5] * 4, "undecided"),
        ([1.0] * 5, "alike"),
        ([0.985] * 9, "alike"),
        ([0.9, 0.91, 0.9, 0.89, 0.9], "faster"),
        ([1.1, 1.11, 1.1, 1.09, 1.1], "slower"),
        ([0.9, 1.2, 0.8, 1.1, 0.95, 1.3, 0.7], "alike"),
        ([0.96, 1.01, 0.97, 1.02, 0.96, 1.01, 0.97], "alike"),
        ([0.9, 0.9, 0.9, 0.9, 3.0], "alike"),
        ([0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 3.0], "faster"),
    ],
)
def test_verdict(ratios: list[float], verdict: str) -> None:
    assert race(ratios).verdict == verdict


def test_the_fastest_runs_must_agree() -> None:
    assert race([0.9] * 6).verdict == "faster"
    assert race([0.9] * 6, least=1.01).verdict == "alike"
    assert race([1.1] * 6, least=0.99).verdict == "alike"


def test_what_does_not_run_loses() -> None:
    assert Race(broken=0, reason="no kernel").verdict == "faster"
    assert Race(broken=1, reason="no kernel").verdict == "slower"
    assert Race(broken=1).settled


def test_noise_is_that_of_the_rounds_and_never_below_the_least_gain() -> None:
    assert race([0.9] * 5).noise == pytest.approx(0.02)
    assert race([0.7, 0.8, 0.9, 1.0, 1.1]).noise > 0.1
    assert race([0.9]).noise == float("inf")


def test_a_race_ends_when_it_is_clear() -> None:
    assert not race([0.5] * 4).settled
    assert race([0.5] * 5).settled
    assert race([1.0] * 5).settled
    assert not race([0.96, 0.98, 0.97, 0.99, 0.95]).settled
    assert race([0.9, 1.1] * (MAX_ROUNDS // 2) + [1.0]).settled


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_races_share_the_time_and_leave_what_they_do_not_need() -> None:
    clock = Clock()
    budget = Budget(60, 3, 5, clock)
    budget.begin()
    budget.took(2)
    clock.now += 17
    assert budget.allows(5)
    clock.now += 2
    assert not budget.allows(5), "a round of two seconds would end after the share of 20"
    budget.skip()
    budget.begin()
    clock.now += 38
    assert budget.allows(5)
    clock.now += 2
    assert not budget.allows(5)


def test_a_race_gets_the_rounds_it_needs_or_none() -> None:
    clock = Clock()
    budget = Budget(60, 3, 5, clock)
    budget.begin()
    for done in range(5):
        assert budget.allows(done)
        clock.now += 8
        budget.took(8)
    assert not budget.allows(5), "its share of 20 seconds is used up"
    budget.begin()
    assert not budget.allows(0), "20 seconds are left, five rounds take 40"
