"""How much a model may lose: ``METRIC=VALUE``, as users write it after ``--max-drop``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from onnxopt.errors import UsageError
from onnxopt.runtime.quality.figures import Figures, Quality

_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_FORMS = "give top1=0.01, cosine=0.005, snr=20 or module:function=VALUE"


@dataclass(frozen=True)
class Budget:
    """What must hold of a model beside its reference.

    Attributes:
        metric: ``top1`` and ``cosine``: the agreement and the mean cosine may drop below 1 by the value. ``snr``: there
            must be so many dB at least. ``module:function``: its value may be so far below what it is for the
            reference beside itself.
        value: that value.
    """

    metric: str
    value: float

    @staticmethod
    def parse(text: str) -> Budget:
        """Reads ``METRIC=VALUE``.

        Raises:
            UsageError: it is no such thing.
        """
        metric, sign, number = (part.strip() for part in text.rpartition("="))
        known = metric in ("top1", "cosine", "snr") or _FUNCTION.fullmatch(metric)
        if not sign or not known:
            raise UsageError(f"--max-drop {text}: no metric with a limit: {_FORMS}")
        try:
            value = float(number)
        except ValueError:
            raise UsageError(f"--max-drop {text}: {number!r} is no number: {_FORMS}") from None
        if not math.isfinite(value) or (value < 0 and metric != "snr"):
            raise UsageError(f"--max-drop {text}: a drop is a number from 0 up: {_FORMS}")
        if metric in ("top1", "cosine") and value >= 1:
            raise UsageError(f"--max-drop {text}: that allows anything: give less than 1")
        return Budget(metric, value)

    @property
    def function(self) -> str:
        """The user's function, to be measured; '' where it is one of the built-in metrics."""
        return self.metric if ":" in self.metric else ""

    def holds(self, quality: Quality) -> bool:
        """Whether a model is within the budget.

        Raises:
            UsageError: the metric says nothing about this model.
        """
        return self.slack(quality) >= 0

    def slack(self, quality: Quality) -> float:
        """How far a model is within the budget, in the metric's unit; below 0 where it is not.

        Raises:
            UsageError: the metric says nothing about this model.
        """
        if quality.failure:
            return -math.inf
        found = self._function(quality) if self.function else self._figure(quality.overall)
        return -math.inf if math.isnan(found) else found

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
        if figures.top1 is None:
            raise UsageError(
                "--max-drop top1: no output has two entries along its last axis to choose from: give"
                " cosine or snr"
            )
        return self.value - (1 - figures.top1)
