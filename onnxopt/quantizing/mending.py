"""Leaving in float what costs most accuracy for least time, until a candidate is close enough.

Each layer's share is measured, not estimated: the candidate is made once more without it, and run on the same samples. Layers then
go back to float in the order of what is gained for what they cost, until it suffices; those that turn out to be needless then are
quantised again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .judging import Judge
from .layers import Layer
from .workshop import Candidate, Workshop

if TYPE_CHECKING:
    from ..runtime.quality.figures import Quality

_AT_ONCE = 8
_MOST = 0.5
"""A model with more of its work in float than this share is none that is worth quantising."""


@dataclass(frozen=True)
class Share:
    """What a layer costs in accuracy.

    Attributes:
        layer: The layer.
        gain: Noise power at the outputs, over signal power, that goes where the layer stays in float.
    """

    layer: Layer
    gain: float


@dataclass
class Mended:
    """A candidate after mending.

    Attributes:
        candidate: The candidate.
        quality: How close it is.
        shares: What single layers cost, the most harmful first; empty where nothing had to be mended.
        back: The layers that stay in float.
    """

    candidate: Candidate
    quality: Quality
    shares: list[Share] = field(default_factory=list)
    back: list[Layer] = field(default_factory=list)


class Mender:
    """Mends candidates.

    Args:
        workshop: Makes candidates.
        judge: Tells how close they are.
        deadline: When to stop trying, by ``time.monotonic``.
        stage: Hears what is done.
    """

    def __init__(
        self, workshop: Workshop, judge: Judge, deadline: float, stage: Callable[[str], None]
    ) -> None:
        self._workshop = workshop
        self._judge = judge
        self._deadline = deadline
        self._stage = stage

    def mend(self, candidate: Candidate, pays: Callable[[Quality], bool]) -> Mended:
        """Returns the candidate, or one with fewer layers quantised that is close enough, or the closest.

        Args:
            candidate: What to mend.
            pays: Tells by how close the candidate is whether to try: mending takes a long time.
        """
        quality = self._judge.look([candidate.path])[0]
        mended = Mended(candidate, quality)
        if self._judge.holds(quality) or quality.failure or not pays(quality):
            return mended
        layers = self._workshop.layers(candidate.mode)
        mended.shares = self.shares(candidate, layers)
        order = [share.layer for share in mended.shares if share.gain > 0]
        total = sum(layer.macs for layer in layers) or 1
        allowed = _affordable(order, _MOST * total)
        self._fewest(mended, allowed)
        return mended

    def shares(self, candidate: Candidate, layers: Sequence[Layer]) -> list[Share]:
        """Measures each layer's share, cheap layers first, as long as there is time.

        Args:
            candidate: Of which one layer after another is left in float.
            layers: Those to try.

        Returns:
            The shares, the most gain for what it costs first.
        """
        base = noise(self._judge.look([candidate.path], few=True)[0])
        found: list[Share] = []
        queue = sorted(layers, key=lambda layer: layer.macs)
        total = sum(layer.macs for layer in layers) or 1
        for start in range(0, len(queue), _AT_ONCE):
            if time.monotonic() > self._deadline:
                break
            batch = queue[start : start + _AT_ONCE]
            self._stage(f"finding the layers that lose accuracy: {start} of {len(queue)}")
            made = [self._workshop.again(candidate, [layer]) for layer in batch]
            for layer, quality in zip(
                batch, self._judge.look([m.path for m in made], few=True), strict=True
            ):
                found.append(Share(layer, _gain(base, noise(quality))))
            for one in made:
                self._workshop.drop(one)
        return sorted(found, key=lambda s: -s.gain / (s.layer.macs / total + 1.0 / len(queue)))

    def _fewest(self, mended: Mended, order: Sequence[Layer]) -> None:
        """Tries ever more layers, then narrows down to the fewest that suffice."""
        base = mended.candidate
        low, count, enough = 0, 1, False
        while order and not enough:
            count = min(count, len(order))
            enough = self._try(mended, base, order[:count], closer=True)
            if not enough and (count == len(order) or time.monotonic() > self._deadline):
                return
            if not enough:
                low, count = count, 2 * count
        while count - low > 1 and time.monotonic() < self._deadline:
            middle = (low + count) // 2
            if self._try(mended, base, order[:middle]):
                count = middle
            else:
                low = middle
        if enough:
            self._spare(mended, base)

    def _spare(self, mended: Mended, base: Candidate) -> None:
        """Quantises layers again that need not stay in float now that others do, those with most work first."""
        for layer in sorted(mended.back, key=lambda layer: -layer.macs)[:_AT_ONCE]:
            if len(mended.back) < 2 or time.monotonic() > self._deadline:
                return
            self._try(mended, base, [other for other in mended.back if other is not layer])

    def _try(
        self, mended: Mended, base: Candidate, back: Sequence[Layer], *, closer: bool = False
    ) -> bool:
        """Leaves layers in float, and keeps the result if it is close enough; of others the file goes.

        Args:
            mended: What is kept.
            base: Of which the layers are left in float.
            back: The layers.
            closer: Whether one that is only closer than what there is is kept, too.

        Returns:
            Whether it is close enough.
        """
        self._stage(f"leaving {len(back)} layers in float")
        made = self._workshop.again(base, back)
        quality = self._judge.look([made.path])[0]
        enough = self._judge.holds(quality)
        if not enough and not (closer and self._judge.better(quality, mended.quality)):
            self._workshop.drop(made)
            return False
        if mended.candidate is not base:
            self._workshop.drop(mended.candidate)
        mended.candidate, mended.quality, mended.back = made, quality, list(back)
        return enough


def _affordable(order: Sequence[Layer], limit: float) -> list[Layer]:
    """The first of some layers, as long as their work stays below a limit."""
    found, spent = list[Layer](), 0.0
    for layer in order:
        if spent + layer.macs <= limit:
            found.append(layer)
            spent += layer.macs
    return found


def _gain(before: float, after: float) -> float:
    """Noise that goes: 0, not NaN, where it is infinite before and after."""
    return 0.0 if before == after else before - after


def noise(quality: Quality) -> float:
    """Noise over signal power."""
    overall = quality.overall
    return float("inf") if overall is None else 10.0 ** (-overall.snr_db / 10.0)
