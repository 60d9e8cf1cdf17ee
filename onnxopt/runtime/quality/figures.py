"""What is said of a model beside its reference."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figures:
    """How close outputs are to those of the reference, r and c.

    Attributes:
        snr_db: ``10 log10(sum r^2 / sum (c - r)^2)`` over all samples, in dB; infinite where they are equal.
        cosine: mean over batch items of the cosine between r and c, flattened. Where an item is a single number, one
            cosine over all items.
        least_cosine: the least of them.
        top1: share of positions where the largest entry along the last axis is the same one; None where that axis has
            less than two entries.
        max_abs: largest ``|c - r|``.
        decisions: where the reference gives probabilities, and mostly clear ones: share of those that are on the same side of
            0.5, or the F1 of those above it, whichever is less. Else None.
    """

    snr_db: float
    cosine: float
    least_cosine: float
    top1: float | None
    max_abs: float
    decisions: float | None = None


def worst(figures: Iterable[Figures]) -> Figures | None:
    """The worst of each figure; None of none."""
    found = list(figures)
    if not found:
        return None
    agreements = [f.top1 for f in found if f.top1 is not None]
    decisions = [f.decisions for f in found if f.decisions is not None]
    return Figures(
        min(f.snr_db for f in found),
        min(f.cosine for f in found),
        min(f.least_cosine for f in found),
        min(agreements) if agreements else None,
        max(f.max_abs for f in found),
        min(decisions, default=None),
    )


@dataclass
class Quality:
    """How close a model is to its reference.

    Attributes:
        model: path of the model.
        samples: how many samples were compared.
        outputs: figures by output, floats only.
        overall: the worst output's, figure by figure. State that is fed back counts only where there is no other output:
            what it leads to is in the others.
        metrics: values of the user's functions, by ``module:function``.
        best: what those functions give for the reference beside itself.
        notes: what else there is to say, a line each.
        failure: why there are no figures; '' where there are.
    """

    model: str
    samples: int = 0
    outputs: dict[str, Figures] = field(default_factory=dict)
    overall: Figures | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    best: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    failure: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict; `from_json` reads it back."""
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> Quality:
        """Inverse of `to_json`."""
        outputs = {name: Figures(**figures) for name, figures in data["outputs"].items()}
        overall = None if data["overall"] is None else Figures(**data["overall"])
        return Quality(**{**data, "outputs": outputs, "overall": overall})
