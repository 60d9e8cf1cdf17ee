"""Mending, on layers whose noise is known: which go back to float, in what order, and when that ends."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from onnxopt.quantizing.judging import Judge
from onnxopt.quantizing.layers import Layer
from onnxopt.quantizing.mending import Mended, Mender
from onnxopt.quantizing.workshop import Candidate, Workshop
from onnxopt.runtime.quality.budget import Budget
from onnxopt.runtime.quality.figures import Figures, Quality

NEVER = math.inf


@dataclass
class Bench:
    """A workshop and a judge in one: each layer that computes in integers adds its noise.

    Attributes:
        layers: The layers, with their work.
        noises: What each adds to noise power over signal power.
        budget: What is asked for.
        together: Noise that a set of layers adds besides, unless one of them stays in float.
        broken: Layers without which a candidate does not run.
        tried: The names left in float, candidate by candidate.
        there: Files of candidates that were made and not dropped.
        stages: What was told.
    """

    layers: list[Layer]
    noises: Mapping[str, float]
    budget: Budget
    together: Mapping[frozenset[str], float] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()
    tried: list[tuple[str, ...]] = field(default_factory=list)
    there: dict[Path, tuple[str, ...]] = field(default_factory=dict)
    stages: list[str] = field(default_factory=list)

    def mend(
        self, deadline: float = NEVER, pays: bool = True, left: tuple[str, ...] = ()
    ) -> Mended:
        """Mends the candidate in which all layers but some compute in integers."""
        whole = self._candidate(left)
        return self.mender(deadline).mend(whole, lambda _: pays)

    def mender(self, deadline: float = NEVER) -> Mender:
        workshop, judge = cast(Workshop, _Workshop(self)), cast(Judge, _Judge(self))
        return Mender(workshop, judge, deadline, self.stages.append)

    def noise(self, left: Sequence[str]) -> float:
        found = sum(noise for name, noise in self.noises.items() if name not in left)
        return found + sum(n for names, n in self.together.items() if not names & set(left))

    def quality(self, left: Sequence[str]) -> Quality:
        if self.broken & set(left):
            return Quality("", failure="does not load")
        noise = self.noise(left)
        snr = -10 * math.log10(noise) if noise else math.inf
        return Quality("", 8, overall=Figures(snr, 1.0, 1.0, None, 0.0))

    def _candidate(self, left: tuple[str, ...]) -> Candidate:
        self.tried.append(left)
        path = Path(f"{len(self.tried)}.onnx")
        self.there[path] = left
        nothing: Any = None
        return Candidate("static", left, path, nothing, "", nothing)


@dataclass
class _Workshop:
    bench: Bench

    def layers(self, mode: str) -> list[Layer]:
        assert mode == "static"
        return list(self.bench.layers)

    def again(self, candidate: Candidate, back: Sequence[Layer]) -> Candidate:
        return self.bench._candidate((*candidate.left, *(layer.name for layer in back)))

    def drop(self, candidate: Candidate) -> None:
        del self.bench.there[candidate.path]


@dataclass
class _Judge:
    bench: Bench

    def look(self, candidates: Sequence[Path], *, few: bool = False) -> list[Quality]:  # noqa: ARG002
        return [self.bench.quality(self.bench.there[path]) for path in candidates]

    def holds(self, quality: Quality) -> bool:
        return not quality.failure and self.bench.budget.holds(quality)

    def better(self, one: Quality, other: Quality) -> bool:
        if one.failure or other.failure:
            return not one.failure
        return self.bench.budget.slack(one) > self.bench.budget.slack(other)


def bench(noises: Sequence[float], macs: Sequence[int] | None = None, snr: float = 20.0) -> Bench:
    """Layers a, b, c and so on."""
    names = "abcdefghijklmnop"[: len(noises)]
    work = macs or [100] * len(noises)
    layers = [Layer(name, "Conv", count) for name, count in zip(names, work, strict=True)]
    return Bench(layers, dict(zip(names, noises, strict=True)), Budget("snr", snr))


def back(mended: Mended) -> list[str]:
    return [layer.name for layer in mended.back]


def test_what_holds_is_left_alone() -> None:
    made = bench([0.001, 0.002])
    mended = made.mend()
    assert (back(mended), mended.shares, made.tried) == ([], [], [()])


def test_what_does_not_pay_is_not_mended() -> None:
    made = bench([0.1, 0.001])
    mended = made.mend(pays=False)
    assert (back(mended), made.tried) == ([], [()])
    assert mended.quality.overall is not None
    assert mended.quality.overall.snr_db < 20


def test_what_does_not_run_is_not_mended() -> None:
    made = bench([0.1, 0.001])
    made.broken = frozenset({"z"})
    mended = made.mend(left=("z",))
    assert (mended.quality.failure, made.tried) == ("does not load", [("z",)])


def test_layers_go_back_in_the_order_of_gain_for_cost() -> None:
    """b loses less than a, but it has a tenth of the work; d loses nothing."""
    made = bench([0.05, 0.04, 0.03, 0.0], [400, 40, 400, 400], snr=12.0)
    mended = made.mend()
    assert [share.layer.name for share in mended.shares] == ["b", "a", "c", "d"]
    gains = {share.layer.name: share.gain for share in mended.shares}
    assert gains == pytest.approx({"a": 0.05, "b": 0.04, "c": 0.03, "d": 0.0})


def test_no_more_layers_go_back_than_are_needed() -> None:
    """Eight of equal work and falling noise, five of which have to go."""
    noises = [0.08, 0.07, 0.06, 0.05, 0.04, 0.004, 0.003, 0.002, *[0.0] * 6]
    made = bench(noises)
    mended = made.mend()
    assert back(mended) == ["a", "b", "c", "d", "e"]
    assert mended.candidate.left == ("a", "b", "c", "d", "e")
    assert mended.quality.overall is not None
    assert mended.quality.overall.snr_db == pytest.approx(-10 * math.log10(0.009))


def test_no_candidate_is_tried_once_the_first_suffices() -> None:
    made = bench([0.1, 0.001, 0.002, 0.0])
    mended = made.mend()
    singles = {(name,) for name in "abcd"}
    assert back(mended) == ["a"]
    assert [left for left in made.tried if left and left not in singles] == []
    assert made.tried.count(("a",)) == 2  # once alone and on few samples, then on all


def test_what_became_needless_is_quantised_again() -> None:
    """a and b only hurt together with c: alone they are the cheapest to leave out, and c does what both do."""
    made = bench([0.02, 0.02, 0.5, 0.0], [1, 1, 300, 700], snr=10.0)
    mended = made.mend()
    assert back(mended) == ["c"]
    assert made.stages[-1].startswith("leaving ")


def test_half_of_the_work_stays_in_integers() -> None:
    made = bench([0.5, 0.2, 0.1], [600, 300, 100], snr=20.0)
    mended = made.mend()
    assert back(mended) == ["b", "c"]  # the best of what may go; a, the culprit, is too large
    assert mended.quality.overall is not None
    assert mended.quality.overall.snr_db == pytest.approx(-10 * math.log10(0.5))


def test_nothing_goes_back_where_nothing_helps() -> None:
    made = bench([0.0, 0.0])
    made.together = {frozenset("xyz"): 0.5}
    mended = made.mend()
    assert (back(mended), mended.candidate.left) == ([], ())
    assert [share.gain for share in mended.shares] == [0.0, 0.0]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_ties_do_not_depend_on_chance(order: tuple[int, ...]) -> None:
    """Layers alike in noise and work keep the order of the model, whatever that is."""
    made = bench([0.02] * 4, snr=15.0)
    made.layers = [made.layers[i] for i in order]
    names = [layer.name for layer in made.layers]
    mended = made.mend()
    assert [share.layer.name for share in mended.shares] == names
    assert back(mended) == back(made.mend())
    assert set(back(mended)) <= set(names[:2])


def test_layers_without_work_count_too() -> None:
    made = bench([0.1, 0.0, 0.0], [0, 0, 0])
    assert back(made.mend()) == ["a"]


def test_a_candidate_that_does_not_run_is_no_remedy() -> None:
    made = bench([0.1, 0.09, 0.0, 0.0], snr=10.0)
    made.broken = frozenset({"a"})
    mended = made.mend()
    assert back(mended) == ["b"]
    assert [share.gain for share in mended.shares if share.layer.name == "a"] == [-math.inf]


def test_outputs_that_hold_no_signal_leave_an_order() -> None:
    """The noise is infinite whatever single layer stays in float: no share is a number of its own."""
    made = bench([math.inf, math.inf, 0.1])
    mended = made.mend()
    assert [share.gain for share in mended.shares] == [0.0, 0.0, 0.0]
    assert back(mended) == []


def test_time_ends_the_search() -> None:
    made = bench([0.08, 0.07, 0.06, 0.05, 0.04])
    mended = made.mend(deadline=time.monotonic() - 1)
    assert (back(mended), mended.shares, made.tried) == ([], [], [()])


def test_only_the_result_is_kept() -> None:
    """Files of large models would fill the disk."""
    made = bench([0.08, 0.07, 0.06, 0.05, 0.04, 0.004, 0.003, 0.002, *[0.0] * 6])
    mended = made.mend()
    assert made.there == {Path("1.onnx"): (), mended.candidate.path: mended.candidate.left}
