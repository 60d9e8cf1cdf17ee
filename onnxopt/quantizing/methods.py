"""Choosing how ranges of activations are chosen: by trying, where the user did not say.

All methods read the same statistics, so that samples are run once. All are glanced at, on the first samples, and the closest two
run on all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
_FINALISTS = 2


@dataclass(frozen=True)
class Choice:
    """How ranges are chosen.

    Attributes:
        candidate: The closest candidate.
        snr: By what was tried the SNR in dB at the outputs.
        glanced: What was tried on the first samples only.
    """

    candidate: Candidate
    snr: dict[str, float]
    glanced: list[str]


def closest(workshop: Workshop, judge: Judge, request: Request) -> Choice:
    """Tries methods, and whether it helps to take the weights' mean error out of biases, which costs nothing at run time.

    From then on the workshop makes static candidates by what was chosen. The first samples of recurrent models say little
    of the later ones, and a function of the user's may want all: such run on all at once. So does all that was tried where
    neither finalist holds what was asked for.

    Args:
        workshop: Makes candidates.
        judge: Tells how close they are.
        request: What was asked for; it names no method.
    """
    judged = request.judged_on
    recurrent = judged is not None and bool(judged.state)
    trials = _Trials(workshop, judge, glance=not recurrent and not judge.budget.function)
    default = workshop.table.method
    tried = [name for name in dict.fromkeys((*METHODS, default)) if _suits(name, request)]
    plain = {name: request.but(method=name) for name in tried}
    # What wants the most statistics comes first: the others find theirs gathered.
    trials.add(_corrected(plain, tried[0]) | plain)
    best = trials.best()
    if best in plain:
        trials.add(_corrected(plain, best))
    if not trials.narrow(_FINALISTS):
        trials.narrow(len(trials.requests))
    best = trials.best()
    workshop.settle(_MODE, trials.requests[best])
    return Choice(trials.finish(best), trials.snr, trials.glanced)


def _suits(method: str, request: Request) -> bool:
    return request.activations != FLOATS or parse_method(method).name not in EVEN


def _corrected(plain: Mapping[str, Request], name: str) -> dict[str, Request]:
    """The same with bias correction; nothing where that was asked for anyway."""
    request = plain[name]
    return {} if request.bias_correct else {name + _CORRECTED: request.but(bias_correct=True)}


class _Trials:
    """Candidates, by what they are made by.

    Args:
        workshop: Makes them.
        judge: Tells how close they are.
        glance: Whether they run on the first samples only until their number is narrowed down.
    """

    def __init__(self, workshop: Workshop, judge: Judge, *, glance: bool) -> None:
        self._workshop = workshop
        self._judge = judge
        self._glance = glance
        self._qualities: dict[str, Quality] = {}
        self._candidates: dict[str, Candidate] = {}
        self._finalists: list[str] = []
        self.requests: dict[str, Request] = {}
        self.snr: dict[str, float] = {}

    def add(self, requests: Mapping[str, Request]) -> None:
        """Makes candidates and looks how close they are; those that are there already are left out."""
        fresh = {name: asked for name, asked in requests.items() if name not in self.requests}
        made = {n: self._workshop.make(_MODE, request=asked) for n, asked in fresh.items()}
        self.requests |= fresh
        self._candidates |= made
        self._look([name for name, one in made.items() if one.changed], few=self._glance)

    def narrow(self, count: int) -> bool:
        """Runs the closest on all samples, and looks at no others from then on; whether one holds what was asked for."""
        ranked = sorted(self._qualities, key=self._closeness, reverse=True)
        self._finalists = ranked[:count]
        self._look(self._finalists, few=False)
        return any(self._judge.holds(self._qualities[name]) for name in self._finalists)

    def best(self) -> str:
        """The closest; any where none was judged."""
        names = self._finalists or list(self._qualities)
        return max(names, key=self._closeness, default=next(iter(self.requests)))

    def finish(self, best: str) -> Candidate:
        """Deletes all candidates but one, which is returned."""
        for name, candidate in self._candidates.items():
            if name != best:
                self._workshop.drop(candidate)
        return self._candidates[best]

    @property
    def glanced(self) -> list[str]:
        """What ran on fewer samples than the others."""
        counts = {name: quality.samples for name, quality in self._qualities.items()}
        return [name for name in self.snr if counts[name] < max(counts.values())]

    def _look(self, names: list[str], *, few: bool) -> None:
        if not names:
            return
        found = self._judge.look([self._candidates[name].path for name in names], few=few)
        for name, quality in zip(names, found, strict=True):
            self._qualities[name] = quality
            self.snr.pop(name, None)
            if quality.overall is not None:
                self.snr[name] = round(quality.overall.snr_db, 2)

    def _closeness(self, name: str) -> tuple[bool, float, float]:
        """By SNR among those that hold what was asked for, else by how far they are from it."""
        quality = self._qualities[name]
        snr = self.snr.get(name, float("-inf"))
        if self._judge.holds(quality):
            return True, snr, 0.0
        return False, self._judge.budget.slack(quality), snr
