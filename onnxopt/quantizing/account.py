"""What a quantisation gave, as a user should see it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..runtime.fusion.report import FusionReport
    from ..runtime.quality.figures import Quality

WORTH = 0.95
"""A quantised model that takes more than this share of the float model's time is hardly worth its loss."""


@dataclass
class Trial:
    """A way to quantise that was tried.

    Attributes:
        mode: Which.
        quality: How close the result is to the optimised float model; None where there was nothing to judge on.
        holds: Whether that is close enough.
        ratio: Its time over that of the optimised float model; None where it was not timed.
        noise: How far from 1 the ratio has to be to mean something.
        back: Layers that went back to float for accuracy.
        shares: The layers that cost most accuracy, with the noise power over signal power that each adds.
        milliseconds: What the optimised float model and it take.
        layers: How many layers it could quantise.
        methods: The SNR in dB by how ranges were chosen, where several ways were tried.
        glanced: Those of ``methods`` that were run on the first samples only.
        why: What went wrong, if something did.
    """

    mode: str
    quality: Quality | None = None
    holds: bool = True
    ratio: float | None = None
    noise: float | None = None
    back: list[str] = field(default_factory=list)
    shares: list[tuple[str, str, float]] = field(default_factory=list)
    milliseconds: tuple[float, float] | None = None
    layers: int = 0
    methods: dict[str, float] = field(default_factory=dict)
    glanced: list[str] = field(default_factory=list)
    why: str = ""


@dataclass
class Account:
    """How a model was quantised.

    Attributes:
        mode: The mode chosen.
        asked: What was asked of accuracy, as text.
        trials: What was tried.
        float_ms: Milliseconds that the optimised float model takes.
        quantised_ms: Milliseconds that the result takes.
        fusion: What the runtime computes in integers; None where that was not looked at.
        bits: Bits of 8-bit weights that are used.
        notes: What a user should know.
        layers: The layers, the most harmful first, as `explaining` describes them.
        tensors: What is stored in integers, likewise; empty where scales are not fixed.
    """

    mode: str
    asked: str
    trials: list[Trial] = field(default_factory=list)
    float_ms: float | None = None
    quantised_ms: float | None = None
    fusion: FusionReport | None = None
    bits: int = 8
    notes: list[str] = field(default_factory=list)
    layers: list[dict[str, Any]] = field(default_factory=list)
    tensors: list[dict[str, Any]] = field(default_factory=list)

    @property
    def chosen(self) -> Trial:
        """The trial of the mode chosen."""
        return next(trial for trial in self.trials if trial.mode == self.mode)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return dataclasses.asdict(self)
