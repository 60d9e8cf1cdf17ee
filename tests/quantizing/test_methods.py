"""Which candidates are looked at closely, and which is chosen: with a workshop and a judge made of figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from onnxopt.quantization.table import Quantization
from onnxopt.quantizing.methods import METHODS, closest
from onnxopt.quantizing.request import Request, Samples
from onnxopt.runtime.quality.budget import Budget
from onnxopt.runtime.quality.figures import Figures, Quality

CORRECTED = "mse + bias-correct"
ALL = 32


@dataclass
class Made:
    """A candidate, as far as trying looks at one."""

    path: Path
    changed: bool = True


@dataclass
class Shop:
    """Makes candidates whose files are called after what they are made by."""

    unchanged: bool = False
    made: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    settled: Request | None = None
    table: Quantization = field(default_factory=Quantization)

    def make(self, mode: str, request: Request) -> Made:
        assert mode == "static"
        name = request.method + (" + bias-correct" if request.bias_correct else "")
        self.made.append(name)
        return Made(Path(name), not self.unchanged)

    def settle(self, mode: str, request: Request) -> None:
        assert mode == "static"
        self.settled = request

    def drop(self, candidate: Made) -> None:
        self.dropped.append(candidate.path.name)


@dataclass
class Figured:
    """A judge that knows the SNR of each on few samples and on all."""

    rough: dict[str, float]
    exact: dict[str, float]
    budget: Budget = field(default_factory=lambda: Budget.parse("snr=20"))
    few: int = 8
    looks: list[tuple[bool, list[str]]] = field(default_factory=list)

    def look(self, candidates: Sequence[Path], *, few: bool = False) -> list[Quality]:
        self.looks.append((few, [path.name for path in candidates]))
        return [self._quality(path.name, few) for path in candidates]

    def _quality(self, name: str, few: bool) -> Quality:
        snr = (self.rough if few else self.exact)[name]
        if snr < -100:
            return Quality(name, failure="does not run")
        figures = Figures(snr, 1.0, 1.0, None, 0.0)
        scores = {"mine:score": 1.0}
        return Quality(name, self.few if few else ALL, overall=figures, metrics=scores, best=scores)

    def holds(self, quality: Quality) -> bool:
        return not quality.failure and self.budget.holds(quality)


def request(**state: str) -> Request:
    return Request(mode="static", calibration=Samples("x.npz", state=state))


def figures(**more: float) -> dict[str, float]:
    """About 30 dB each, in the order of trying, unless another figure is given."""
    found = {name: 30.0 - 0.1 * place for place, name in enumerate((CORRECTED, *METHODS))}
    return found | {name.replace("_", ":").replace("+", " + "): snr for name, snr in more.items()}


def chosen(judge: Figured, shop: Shop | None = None, asked: Request | None = None) -> Any:
    shop = shop or Shop()
    return closest(shop, judge, asked or request())  # type: ignore[arg-type]


def test_all_are_glanced_at_and_two_run_on_all_samples() -> None:
    shop, judge = Shop(), Figured(figures(), figures())
    found = chosen(judge, shop)
    assert judge.looks == [(True, [CORRECTED, *METHODS]), (False, [CORRECTED, "mse"])]
    assert found.candidate.path.name == CORRECTED
    assert set(shop.dropped) == set(METHODS)
    assert shop.settled == request().but(method="mse", bias_correct=True)
    assert found.snr == figures()
    assert found.glanced == list(METHODS[1:])


def test_all_samples_decide_between_the_two() -> None:
    found = chosen(Figured(figures(), figures(mse=35.0, minmax=40.0)))
    assert found.candidate.path.name == "mse"
    assert found.snr == figures(mse=35.0)


def test_another_method_that_is_closest_is_corrected_too() -> None:
    corrected = "minmax + bias-correct"
    rough = figures(minmax=31.0) | {corrected: 33.0}
    judge = Figured(rough, rough)
    found = chosen(judge)
    assert judge.looks[1:] == [(True, [corrected]), (False, [corrected, "minmax"])]
    assert found.candidate.path.name == corrected


def test_where_neither_finalist_holds_all_run_on_all_samples() -> None:
    exact = figures(**{"percentile:99.9": 21.0}) | dict.fromkeys((CORRECTED, *METHODS[:3]), 15.0)
    judge = Figured(figures(), exact)
    found = chosen(judge)
    assert found.candidate.path.name == "percentile:99.9"
    assert found.glanced == []
    assert found.snr == exact


def test_nothing_that_holds_leaves_the_nearest() -> None:
    exact = dict.fromkeys((CORRECTED, *METHODS), 10.0) | {"minmax": 12.0}
    assert chosen(Figured(figures(), exact)).candidate.path.name == "minmax"


def test_what_does_not_run_is_no_finalist() -> None:
    rough = figures() | {CORRECTED: -1000.0, "mse": -1000.0, "minmax + bias-correct": 20.0}
    judge = Figured(rough, rough)
    found = chosen(judge)
    assert judge.looks[-1] == (False, ["minmax", "percentile:99.99"])
    assert found.candidate.path.name == "minmax"
    assert CORRECTED not in found.snr


@pytest.mark.parametrize("recurrent", [True, False])
def test_recurrent_models_and_the_users_functions_get_all_samples_at_once(recurrent: bool) -> None:
    judge = Figured({}, figures())
    if not recurrent:
        judge.budget = Budget.parse("mine:score=0.5")
    found = chosen(judge, asked=request(hn="h") if recurrent else None)
    assert [few for few, _ in judge.looks] == [False, False]
    assert found.candidate.path.name == CORRECTED
    assert found.glanced == []


def test_where_few_samples_are_all_nothing_was_only_glanced_at() -> None:
    assert chosen(Figured(figures(), figures(), few=ALL)).glanced == []


@pytest.mark.parametrize("asked", [request(), request().but(bias_correct=True)])
def test_nothing_is_judged_where_nothing_is_quantised(asked: Request) -> None:
    shop, judge = Shop(unchanged=True), Figured({}, {})
    found = chosen(judge, shop, asked)
    assert judge.looks == []
    assert found.snr == {}
    assert found.candidate.path.name == shop.made[0]
