"""What a user can ask of a quantisation."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..compiler.options import check_lists
from ..errors import UsageError
from ..quantization.methods import EVEN, parse_method
from ..quantization.types import qtype

if TYPE_CHECKING:
    from ..runtime.readers.options import ReaderOptions

MODES = ("auto", "static", "dynamic", "weight-only")
WEIGHT_METHODS = ("rtn", "mse", "hqq", "gptq", "hmse")
"""How weights are rounded where they alone are quantised."""
CALIBRATED = ("gptq", "hmse")
FLOATS = "fp8"
STORED = ("s4", "u4", "s8", "u8", FLOATS)
"""What weights alone are stored as."""
WEIGHTS, BLOCK = "s8", "block:32"
"""How weights are stored where they alone are quantised and nothing else was asked for."""
SEPARATOR = ";"


@dataclass(frozen=True)
class Samples:
    """Samples, and how to read them.

    Attributes:
        source: ``FILE.npz``, a folder, ``images:FOLDER`` or ``module:function``.
        limit: How many are read at most; None for all.
        images: Fields of ``ImageOptions``, for folders of images.
        state: Names of outputs, each with the input that it is fed back to.
    """

    source: str
    limit: int | None = None
    images: Mapping[str, Any] = field(default_factory=dict)
    state: Mapping[str, str] = field(default_factory=dict)

    def reading(self, limit: int | None = None) -> ReaderOptions:
        """How the reader is to go about it."""
        from ..runtime.readers.options import ImageOptions, ReaderOptions

        least = [n for n in (self.limit, limit) if n is not None]
        return ReaderOptions(
            limit=min(least, default=None),
            fed_back=tuple(self.state.values()),
            images=ImageOptions(**self.images),
            folder=".",
        )


@dataclass(frozen=True)
class Stored:
    """How weights are stored where they alone are quantised.

    Attributes:
        weights: Their type.
        block: How many share a scale, ``channel`` or ``tensor``.
        method: How they are rounded.
        symmetric: Whether 0 is stored as the middle.
    """

    weights: str
    block: str
    method: str
    symmetric: bool

    @property
    def opset(self) -> int:
        """The opset from which all of that exists."""
        if self.block.isdecimal() or self.weights in ("s4", "u4"):
            return 21
        if self.weights == FLOATS:
            return 19
        return 13 if self.block == "channel" else 10


@dataclass(frozen=True)
class Request:
    """A quantisation.

    Attributes:
        mode: One of ``MODES``; ``auto`` measures those that there is data for.
        calibration: Samples to choose scales from; None for none.
        evaluation: Samples to judge results on; those of the calibration by default.
        activations: The type of activations; the target's by default.
        weights: The type of weights; the target's by default.
        granularity: ``tensor``, ``channel`` or ``block:N``; the target's by default.
        method: How ranges of activations are chosen; the target's by default.
        symmetric: Whether 0 is stored as the middle; None for what suits: 4-bit weights have zero points then.
        equalize: Whether weights of consecutive layers are balanced first.
        bias_correct: Whether the mean error of weights is taken out of biases.
        smooth_quant: The share of the difficulty that goes from activations to weights; None for none.
        include: Names, operators and patterns to quantise alone.
        exclude: Names, operators and patterns that stay in float.
        wide: Names, operators and patterns around which activations have 16 bits.
        stats_in: Files of statistics to use instead of samples.
        stats_out: Where to write the statistics gathered.
        max_drop: How much may be lost, ``METRIC=VALUE``; a floor that suits most by default.
        strict_fusion: Whether a node that should compute in integers and does not is an error.
        budget: Seconds that measuring and mending may take.
        explain: Whether more is found out than the result needs: calibration gathers histograms whatever the method, and
            what the layers that most likely matter cost is measured while the budget lasts.
    """

    mode: str = "auto"
    calibration: Samples | None = None
    evaluation: Samples | None = None
    activations: str = ""
    weights: str = ""
    granularity: str = ""
    method: str = ""
    symmetric: bool | None = None
    equalize: bool = False
    bias_correct: bool = False
    smooth_quant: str | None = None
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    wide: Sequence[str] = ()
    stats_in: Sequence[str | os.PathLike[str]] = ()
    stats_out: str | None = None
    max_drop: str | None = None
    strict_fusion: bool = False
    budget: float = 180.0
    explain: bool = False

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UsageError(f"no mode {self.mode!r}; there are: {', '.join(MODES)}")
        check_lists(
            include=self.include, exclude=self.exclude, wide=self.wide, stats_in=self.stats_in
        )
        for name in (self.activations, self.weights):
            if name == "s32":
                raise UsageError("s32: 32 bits are for biases: choose s8 or u8")
            if name:
                qtype(name)
        if FLOATS in (self.activations, self.weights) and self.symmetric is False:
            raise UsageError("fp8: 8-bit floats have no zero points: leave out --asymmetric")
        if self.mode != "auto":
            self.check(self.mode)
        elif self.method not in WEIGHT_METHODS and self.method:
            parse_method(self.method)
        _check_images(self.calibration, self.evaluation)
        if self.granularity not in ("", "tensor", "channel"):
            kind, _, size = self.granularity.partition(":")
            if kind != "block" or not size.isdecimal() or int(size) < 1:
                raise UsageError(
                    f"no granularity {self.granularity!r}; choose tensor, channel or block:N, such as block:32"
                )
        if self.max_drop is not None and self.judged_on is None:
            raise UsageError(
                f"--max-drop {self.max_drop}: there are no samples to judge on: give some with --calibrate or --eval"
            )
        for name in (*self.include, *self.exclude, *self.wide):
            if '"' in name or SEPARATOR in name:
                raise UsageError(f"cannot name {name!r} here: it holds a quote or a semicolon")
        if self.mode == "static" and self.calibration is None and not self.stats_in:
            raise UsageError(
                "static quantisation needs calibration data: give some with --calibrate, or statistics with "
                "--stats-in; or quantise with --mode dynamic"
            )

    def check(self, mode: str) -> None:
        """Refuses what means nothing in a mode.

        Raises:
            UsageError: An option does not go with the mode.
        """
        if self.wide and mode != "static":
            raise UsageError(
                "--wide gives activations 16 bits, which static quantisation alone stores: choose --mode static"
            )
        if mode == "weight-only":
            self._check_weights()
            return
        if self.method:
            parse_method(self.method)
        if mode == "static" and self.smooth_quant is not None and (self.stats_in or self.stats_out):
            given = "--stats-in" if self.stats_in else "--stats-out"
            raise UsageError(
                "--smooth-quant looks at the samples twice, before and after it changes the model, and a file of "
                f"statistics is of one model: leave out {given} and give samples with --calibrate"
            )
        if self.weights in ("s4", "u4", "s16", "u16"):
            raise UsageError(
                f"no kernel multiplies {self.weights} weights with integers: choose s8 or u8, or store weights alone "
                "in 4 bits, with --mode weight-only"
            )
        if self.granularity.startswith("block:"):
            raise UsageError(
                "no kernel multiplies integers whose scales are by block: choose channel or tensor, or "
                "--mode weight-only"
            )
        if mode == "static":
            self._check_floats()
        if mode == "dynamic" and self.weights == FLOATS:
            raise UsageError(
                "no operator takes 8-bit floats with scales of run time: choose --mode static, or weight-only"
            )
        if mode == "dynamic" and self.activations not in ("", "u8"):
            raise UsageError(
                f"dynamic quantisation stores activations as u8, not {self.activations}: leave out --activations, "
                "or choose --mode static"
            )

    def _check_floats(self) -> None:
        found = [name == FLOATS for name in (self.activations, self.weights)]
        if not any(found):
            return
        if not all(found):
            raise UsageError(
                "8-bit floats are multiplied with 8-bit floats only: give --activations fp8 and --weights fp8, or store "
                "weights alone, with --mode weight-only"
            )
        if self.method and parse_method(self.method).name in EVEN:
            raise UsageError(
                f"{self.method} reckons with steps of equal size, which fp8 does not have: choose minmax, "
                "moving-average or percentile:99.99"
            )

    def _check_weights(self) -> None:
        if self.activations:
            raise UsageError(
                "activations stay in float where weights alone are quantised: leave out --activations, or choose "
                "another --mode"
            )
        if self.weights not in ("", *STORED):
            raise UsageError(
                f"weights alone are stored as {', '.join(STORED[:-1])} or {STORED[-1]}, not {self.weights}"
            )
        if self.weights == FLOATS and self.method == "hqq":
            raise UsageError(
                "hqq moves zero points, which fp8 does not have: choose another --method"
            )
        if self.method and self.method not in WEIGHT_METHODS:
            raise UsageError(
                f"no method {self.method!r} to round weights; there are: {', '.join(WEIGHT_METHODS)}"
            )
        if self.method in CALIBRATED and self.calibration is None:
            raise UsageError(
                f"{self.method} rounds weights by what they are multiplied with: give samples with --calibrate; "
                "--method hqq goes without"
            )

    @property
    def stored(self) -> Stored:
        """How weights are stored where they alone are quantised."""
        kind, _, size = (self.granularity or BLOCK).partition(":")
        weights = self.weights or WEIGHTS
        few = weights in ("s4", "u4")
        method = self.method or ("gptq" if few and self.calibration is not None else "rtn")
        if kind == "tensor" and not self.method:
            method = "rtn"
        symmetric = not few if self.symmetric is None else self.symmetric
        return Stored(weights, size or kind, method, symmetric)

    def but(self, **changes: Any) -> Request:
        """The same request with some changes."""
        return dataclasses.replace(self, **changes)

    @property
    def judged_on(self) -> Samples | None:
        """The samples that results are judged on."""
        return self.evaluation or self.calibration


def _check_images(*samples: Samples | None) -> None:
    given = [one for one in samples if one is not None]
    if any(one.images for one in given) and not any(
        one.source.startswith("images:") for one in given
    ):
        name = next(iter(given[0].images))
        raise UsageError(f"--{name} is for images; give them as images:FOLDER")


def option(key: str, value: object) -> str:
    """An option of a pass, as text."""
    return f'{key}="{value}"'


def names(words: Iterable[str]) -> str:
    """Names as a pass takes them."""
    return SEPARATOR.join(dict.fromkeys(words))
