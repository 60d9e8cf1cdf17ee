"""Which outputs are decisions, and how equal ones are counted."""

from __future__ import annotations

import numpy as np
import pytest

from onnxopt.errors import UsageError
from onnxopt.runtime.quality.budget import Budget
from onnxopt.runtime.quality.decisions import Decisions
from onnxopt.runtime.quality.figures import Figures, Quality


def found(reference: list[float], other: list[float]) -> float | None:
    decisions = Decisions()
    decisions.add(np.array(reference), np.array(other))
    return decisions.found()


@pytest.mark.parametrize("reference", [[0.0, 1.2], [-0.1, 0.9], [0.5, 0.4, 0.6, 0.9], []])
def test_what_is_no_clear_probability(reference: list[float]) -> None:
    assert found(reference, reference) is None


def test_the_worse_of_agreement_and_f1() -> None:
    assert found([0.0] * 8 + [1.0, 0.9], [0.0] * 8 + [1.0, 0.1]) == pytest.approx(2 / 3)
    assert found([1.0] * 9 + [0.0], [1.0] * 10) == pytest.approx(0.9)
    assert found([0.1, 0.2], [0.4, 0.0]) == 1.0


def quality(snr: float, decisions: float | None) -> Quality:
    return Quality("m.onnx", 4, overall=Figures(snr, 0.99, 0.99, None, 0.1, decisions))


def test_several_must_hold() -> None:
    budget = Budget.parse("snr=20,decisions=0.01")
    assert budget.slack(quality(26.0, 0.98)) == pytest.approx(-3.0103, abs=1e-4)
    assert budget.slack(quality(21.0, 0.999)) == pytest.approx(1.0)
    assert not budget.holds(quality(19.0, 1.0))
    assert budget.holds(quality(20.5, None))


def test_alone_it_must_say_something() -> None:
    with pytest.raises(UsageError, match="no output holds probabilities"):
        Budget.parse("decisions=0.01").holds(quality(26.0, None))


def test_two_functions_are_refused() -> None:
    with pytest.raises(UsageError, match="only one of them may be a function"):
        Budget.parse("a:b=1,c:d=2")
