"""Budgets: how they are written, and when they hold."""

from __future__ import annotations

import math

import pytest

from onnxopt.errors import UsageError
from onnxopt.runtime.quality.budget import Budget
from onnxopt.runtime.quality.figures import Figures, Quality


def quality(top1: float | None = 0.995, cosine: float = 0.99, snr: float = 22.0) -> Quality:
    return Quality("m.onnx", 4, overall=Figures(snr, cosine, cosine, top1, 0.1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "top1",
        "=1",
        "top5=0.1",
        "top1=",
        "top1=much",
        "top1=-0.1",
        "cosine=nan",
        "cosine=1",
        "a.b=1",
    ],
)
def test_what_is_no_budget_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError, match="--max-drop") as raised:
        Budget.parse(text)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "slack"),
    [
        ("top1=0.01", 0.005),
        ("top1=0.001", -0.004),
        ("cosine=0.02", 0.01),
        ("cosine = 0.005", -0.005),
        ("snr=20", 2.0),
        ("snr=30", -8.0),
    ],
)
def test_slack_is_what_is_left_of_a_budget(text: str, slack: float) -> None:
    budget = Budget.parse(text)
    assert budget.slack(quality()) == pytest.approx(slack)
    assert budget.holds(quality()) == (slack >= 0)


def test_equal_models_hold_any_budget() -> None:
    equal = quality(1.0, 1.0, math.inf)
    assert all(Budget.parse(text).holds(equal) for text in ("top1=0", "cosine=0", "snr=100"))


def test_a_model_that_does_not_run_holds_none() -> None:
    budget = Budget.parse("snr=-1000")
    assert budget.slack(Quality("m.onnx", failure="does not load")) == -math.inf


def test_a_figure_that_is_no_number_holds_none() -> None:
    assert not Budget.parse("cosine=0.5").holds(quality(cosine=math.nan))


def test_agreement_needs_something_to_choose_from() -> None:
    with pytest.raises(UsageError, match="cosine or snr"):
        Budget.parse("top1=0.1").slack(quality(top1=None))


def test_a_function_is_measured_against_the_reference_beside_itself() -> None:
    budget = Budget.parse("my.mod:score=0.5")
    assert budget.function == "my.mod:score"
    assert Budget.parse("snr=2").function == ""
    found = quality()
    with pytest.raises(UsageError, match="not measured"):
        budget.slack(found)
    found.metrics, found.best = {"my.mod:score": 9.25}, {"my.mod:score": 9.5}
    assert budget.slack(found) == pytest.approx(0.25)
