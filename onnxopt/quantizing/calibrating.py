"""The services that passes get data from: statistics, gathered from samples or read from files, and Gram matrices; each once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import onnx_ir as ir

from ..errors import UnobservedError, UsageError
from ..io.identity import identity
from ..quantization.statistics import Statistics, load_merged
from ..quantization.wants import Wants
from .grams import Grams
from .request import Request, Samples

if TYPE_CHECKING:
    from ..compiler.options import Options
    from ..pipeline.base import Observe


class Calibration:
    """Gathers statistics of a model's values, or looks them up.

    Args:
        request: Where samples or statistics are.
        options: Provider, libraries, time limit, progress.
    """

    def __init__(self, request: Request, options: Options) -> None:
        self._request = request
        self._options = options
        self._known: dict[str, Statistics] = {}
        self._asked: dict[str, dict[str, Wants]] = {}
        self._given = load_merged(map(Path, request.stats_in)) if request.stats_in else None
        self.notes: list[str] = []
        self.interrupted = False
        self._grams = Grams(self._add_up)

    @property
    def grams(self) -> Grams | None:
        """Gives Gram matrices; None where there are no samples to gather them from."""
        return None if self._request.calibration is None else self._grams

    @property
    def available(self) -> bool:
        """Whether there is anything to gather from."""
        return self._given is not None or self._request.calibration is not None

    def __call__(self, model: ir.Model, wants: Mapping[str, Wants]) -> Statistics:
        """Gives statistics of values.

        Args:
            model: The model as it is now.
            wants: What to know, by name of a value.

        Raises:
            UsageError: There are no samples, or the files are of another model or know too little.
            OnnxoptError: The model does not run on the samples.
        """
        return self._statistics(model, wants, self._request.stats_out)

    def service(self, mode: str) -> Observe | None:
        """What gives statistics to the passes of a mode; None where there is nothing to gather from.

        Where several modes are tried, the file of statistics is that of the one which cannot do without.
        """
        if not self.available:
            return None
        if mode == "static" or self._request.mode != "auto":
            return self
        return functools.partial(self._statistics, stats_out=None)

    def _statistics(
        self, model: ir.Model, wants: Mapping[str, Wants], stats_out: str | None
    ) -> Statistics:
        fingerprint = identity(model)
        if self._given is not None:
            return self._looked_up(fingerprint, wants)
        if self._request.explain:
            wants = {name: _with_histogram(want) for name, want in wants.items()}
        known, asked = self._known.get(fingerprint), self._asked.setdefault(fingerprint, {})
        missing = {name: want for name, want in wants.items() if not _within(want, asked.get(name))}
        if known is None:
            known = self._gather(model, fingerprint, wants, stats_out)
        elif missing:
            missing = {name: _both(asked.get(name), want) for name, want in missing.items()}
            self._add(known, self._gather(model, fingerprint, missing, None), stats_out)
        self._known[fingerprint] = known
        asked.update(missing)
        return known

    def _add(self, known: Statistics, more: Statistics, stats_out: str | None) -> None:
        """Adds statistics of other values over the same samples; layers in float may need ranges of what is after them."""
        known.tensors |= more.tensors
        known.samples = min(known.samples, more.samples)
        if stats_out is not None and not self.interrupted:
            known.save(stats_out)

    def _looked_up(self, fingerprint: str, wants: Mapping[str, Wants]) -> Statistics:
        assert self._given is not None
        files = ", ".join(map(str, self._request.stats_in))
        try:
            self._given.check_model(fingerprint)
        except UsageError as error:
            raise UnobservedError(f"{files}: {error}") from None
        missing = [name for name in wants if name not in self._given.tensors]
        if missing:
            raise UnobservedError(
                f"{files}: lacks {missing[0]!r} and {len(missing) - 1} more values; calibrate with the options "
                "that are used now"
            )
        return self._given

    def _gather(
        self,
        model: ir.Model,
        fingerprint: str,
        wants: Mapping[str, Wants],
        stats_out: str | None,
    ) -> Statistics:
        from ..runtime.calibration.observe import observe

        samples = self._samples()
        checkpoint = None if stats_out is None else Path(stats_out)
        found = observe(
            model,
            samples.source,
            wants,
            options=samples.reading(),
            state=samples.state,
            provider=provider_of(self._options),
            custom_op_libraries=[str(lib) for lib in self._options.custom_op_libraries],
            timeout_s=self._options.timeout,
            fingerprint=fingerprint,
            checkpoint=checkpoint,
            on_progress=_shown(self._options),
        )
        self.interrupted = self.interrupted or not found.finished
        self.notes += found.notes
        self.notes += [f"{name}: not observed: {why}" for name, why in found.refused.items()]
        return found.statistics

    def _add_up(self, model: ir.Model, names: Sequence[str], into: Path) -> Mapping[str, Path]:
        from ..runtime.calibration.grams import sum_grams

        samples = self._samples()
        found = sum_grams(
            model,
            samples.source,
            names,
            into,
            options=samples.reading(),
            state=samples.state,
            provider=provider_of(self._options),
            custom_op_libraries=[str(lib) for lib in self._options.custom_op_libraries],
            timeout_s=self._options.timeout,
            on_progress=_shown(self._options),
        )
        self.interrupted = self.interrupted or not found.finished
        self.notes += [f"{name}: not observed: {why}" for name, why in found.refused.items()]
        return found.files

    def _samples(self) -> Samples:
        samples = self._request.calibration
        if samples is None:
            raise UsageError(
                "quantisation with fixed scales needs calibration data: give some with --calibrate, or "
                "statistics with --stats-in"
            )
        return samples


def _with_histogram(want: Wants) -> Wants:
    """With what losses are told from; passes that want channels choose no scales yet."""
    return want if want.channels is not None else want | Wants(histogram=True)


def _within(want: Wants, asked: Wants | None) -> bool:
    """Whether what is wanted was asked for before, be it that there is none."""
    if asked is None:
        return False
    return want.histogram <= asked.histogram and want.channels in (None, asked.channels)


def _both(asked: Wants | None, want: Wants) -> Wants:
    """What was asked for before, too; channels as they are wanted now."""
    if asked is None:
        return want
    channels = asked.channels if want.channels is None else want.channels
    return Wants(asked.histogram or want.histogram, channels)


def provider_of(options: Options) -> str:
    """The provider that models run on while they are quantised."""
    from ..runtime.providers import resolve

    return resolve(options.providers)[0]


def _shown(options: Options) -> Callable[[int, int, int], None]:
    def progress(sample: int, number: int, passes: int) -> None:
        part = f" (pass {number} of {passes})" if passes > 1 else ""
        options.stage(f"calibrating: sample {sample}{part}")

    return progress
