"""How much a model may lose: ``METRIC=VALUE``, as users write it after ``--max-drop``, or several of them, ``,`` between."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from onnxopt.errors import UsageError
from onnxopt.runtime.quality.figures import Figures, Quality

_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_FORMS = "give top1=0.01, cosine=0.005, decisions=0.005, snr=20 or module:function=VALUE"
_DROPS = ("top1", "cosine", "decisions")
_LEAST = 1e-9
_NOTHING = {
    "top1": "no output has two entries along its last axis to choose from",
    "decisions": "no output holds probabilities that are clear mostly",
}


@dataclass(frozen=True)
class Budget:
    """What must hold of a model beside its reference.

    Attributes:
        metric: ``top1``, ``cosine`` and ``decisions``: the agreement, the mean cosine and the share of equal decisions may
            drop below 1 by the value. ``snr``: there must be so many dB at least. ``module:function``: its value may be
            so far below what it is for the reference beside itself.
        value: that value.
        besides: what must hold, too, where it says anything of a model.
    """

    metric: str
    value: float
    besides: Budget | None = None

    @staticmethod
    def parse(text: str) -> Budget:
        """Reads ``METRIC=VALUE``, or several, ``,`` between.

        Raises:
            UsageError: it is no such thing.
        """
        budget: Budget | None = None
        for part in reversed(text.split(",")):
            budget = replace(Budget._one(part), besides=budget)
        assert budget is not None
        functions = [found.metric for found in budget._all() if found.function]
        if len(functions) > 1:
            raise UsageError(f"--max-drop {text}: only one of them may be a function")
        return budget

    @staticmethod
    def _one(text: str) -> Budget:
        metric, sign, number = (part.strip() for part in text.rpartition("="))
        known = metric in (*_DROPS, "snr") or _FUNCTION.fullmatch(metric)
        if not sign or not known:
            raise UsageError(f"--max-drop {text}: no metric with a limit: {_FORMS}")
        try:
            value = float(number)
        except ValueError:
            raise UsageError(f"--max-drop {text}: {number!r} is no number: {_FORMS}") from None
        if not math.isfinite(value) or (value < 0 and metric != "snr"):
            raise UsageError(f"--max-drop {text}: a drop is a number from 0 up: {_FORMS}")
        if metric in _DROPS and value >= 1:
            raise UsageError(f"--max-drop {text}: that allows anything: give less than 1")
        return Budget(metric, value)

    def _all(self) -> Iterator[Budget]:
        yield replace(self, besides=None)
        if self.besides is not None:
            yield from self.besides._all()

    @property
    def function(self) -> str:
        """The user's function, to be measured; '' where there is none."""
        if ":" in self.metric:
            return self.metric
        return self.besides.function if self.besides is not None else ""

    def holds(self, quality: Quality) -> bool:
        """Whether a model is within the budget.

        Raises:
            UsageError: the metric says nothing about this model.
        """
        return self.slack(quality) >= 0

    def slack(self, quality: Quality) -> float:
        """How far a model is within the budget, in the metric's unit; below 0 where it is not.

        Of several metrics it is the least, each in decibels.

        Raises:
            UsageError: the first metric says nothing about this model.
        """
        if quality.failure:
            return -math.inf
        if self.besides is None:
            return _number(self._single(quality))
        first, *others = self._all()
        found = [first._decibels(quality)]
        found += [other._decibels(quality) for other in others if other._applies(quality)]
        return min(found)

    def _applies(self, quality: Quality) -> bool:
        if self.metric not in ("top1", "decisions"):
            return True
        return quality.overall is None or getattr(quality.overall, self.metric) is not None

    def _decibels(self, quality: Quality) -> float:
        slack = _number(self._single(quality))
        if self.metric not in _DROPS or not math.isfinite(slack):
            return slack
        return 10 * math.log10(max(self.value, _LEAST) / max(self.value - slack, _LEAST))

    def _single(self, quality: Quality) -> float:
        if ":" in self.metric:
            return self._function(quality)
        return self._figure(quality.overall)

    def _function(self, quality: Quality) -> float:
        if self.metric not in quality.metrics:
            raise UsageError(f"--max-drop {self.metric}: was not measured")
        return self.value - (quality.best[self.metric] - quality.metrics[self.metric])

    def _figure(self, figures: Figures | None) -> float:
        if figures is None:
            raise UsageError(f"--max-drop {self.metric}: there are no float outputs to compare")
        if self.metric == "snr":
            return figures.snr_db - self.value
        if self.metric == "cosine":
            return self.value - (1 - figures.cosine)
        share = figures.top1 if self.metric == "top1" else figures.decisions
        if share is None:
            raise UsageError(
                f"--max-drop {self.metric}: {_NOTHING[self.metric]}: give cosine or snr"
            )
        return self.value - (1 - share)


def _number(slack: float) -> float:
    return -math.inf if math.isnan(slack) else slack
