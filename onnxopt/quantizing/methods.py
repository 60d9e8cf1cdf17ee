"""Choosing how ranges of activations are chosen: by trying, where the user did not say.

All methods read the same statistics, so that samples are run once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..quantization.methods import EVEN, parse_method
from .judging import Judge
from .request import FLOATS, Request
from .workshop import Candidate, Workshop

if TYPE_CHECKING:
    from ..runtime.quality.figures import Quality

METHODS = ("mse", "minmax", "percentile:99.99", "percentile:99.9")
"""What is tried, beside what the target has by default: outliers may make steps too large for all the rest."""
_CORRECTED = " + bias-correct"
_MODE = "static"


def closest(
    workshop: Workshop, judge: Judge, request: Request
) -> tuple[Candidate, dict[str, float]]:
    """Tries methods, and whether it helps to take the weights' mean error out of biases, which costs nothing at run time.

    From then on the workshop makes static candidates by what was chosen.

    Args:
        workshop: Makes candidates.
        judge: Tells how close they are.
        request: What was asked for; it names no method.

    Returns:
        The closest candidate, and by what was tried the SNR in dB at the outputs.
    """
    trials = _Trials(workshop, judge)
    default = workshop.table.method
    tried = [name for name in dict.fromkeys((*METHODS, default)) if _suits(name, request)]
    plain = {name: request.but(method=name) for name in tried}
    # What wants the most statistics comes first: the others find theirs gathered.
    trials.add(_corrected(plain, tried[0]) | plain)
    best = trials.best()
    if best in plain:
        trials.add(_corrected(plain, best))
        best = trials.best()
    workshop.settle(_MODE, trials.requests[best])
    return trials.finish(best), trials.snr


def _suits(method: str, request: Request) -> bool:
    return request.activations != FLOATS or parse_method(method).name not in EVEN


def _corrected(plain: Mapping[str, Request], name: str) -> dict[str, Request]:
    """The same with bias correction; nothing where that was asked for anyway."""
    request = plain[name]
    return {} if request.bias_correct else {name + _CORRECTED: request.but(bias_correct=True)}


class _Trials:
    """Candidates, by what they are made by."""

    def __init__(self, workshop: Workshop, judge: Judge) -> None:
        self._workshop = workshop
        self._judge = judge
        self._qualities: dict[str, Quality] = {}
        self._candidates: dict[str, Candidate] = {}
        self.requests: dict[str, Request] = {}
        self.snr: dict[str, float] = {}

    def add(self, requests: Mapping[str, Request]) -> None:
        """Makes candidates and looks how close they are; those that are there already are left out."""
        fresh = {name: asked for name, asked in requests.items() if name not in self.requests}
        made = {n: self._workshop.make(_MODE, request=asked) for n, asked in fresh.items()}
        self.requests |= fresh
        self._candidates |= made
        there = {name: one for name, one in made.items() if one.changed}
        if not there:
            return
        found = self._judge.look([one.path for one in there.values()])
        for name, quality in zip(there, found, strict=True):
            self._qualities[name] = quality
            if quality.overall is not None:
                self.snr[name] = round(quality.overall.snr_db, 2)

    def best(self) -> str:
        """The closest; any where none was judged."""
        return max(self._qualities, key=self._closeness, default=next(iter(self.requests)))

    def finish(self, best: str) -> Candidate:
        """Deletes all candidates but one, which is returned."""
        for name, candidate in self._candidates.items():
            if name != best:
                self._workshop.drop(candidate)
        return self._candidates[best]

    def _closeness(self, name: str) -> tuple[bool, float, float]:
        """By SNR among those that hold what was asked for, else by how far they are from it."""
        quality = self._qualities[name]
        snr = self.snr.get(name, float("-inf"))
        if self._judge.holds(quality):
            return True, snr, 0.0
        return False, self._judge.budget.slack(quality), snr
