"""How close outputs are to those of the other model: the validation's verdict and figures, the worst of all outputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from .verdict import CannotMeasure, Finding

if TYPE_CHECKING:
    from ..runtime.validation import OutputResult, ProviderResult, Validation
    from .subject import Subject

_TEXT = "str"
_UNCOMPARED = "not-compared"


def validation(subject: Subject, limit: str) -> Finding:
    """The status of the validation, as of ``onnxopt compare``."""
    found = subject.validation
    return Finding(found.status, found.status == limit, found.reason)


def min_cosine(subject: Subject, limit: float) -> Finding:
    """The smallest cosine of any output in any sample on any provider."""
    return _least(subject.validation, limit, lambda output: output.cosine)


def min_snr_db(subject: Subject, limit: float) -> Finding:
    """The smallest signal-to-noise ratio, in dB, of any output in any sample; infinite where all are equal."""
    return _least(subject.validation, limit, _snr)


def _snr(output: OutputResult) -> float:
    return math.inf if output.snr_db is None else output.snr_db


def _least(found: Validation, limit: float, figure: Callable[[OutputResult], float]) -> Finding:
    compared = [pair for provider in found.providers for pair in _compared(provider)]
    unrun = next((p for p in found.providers if not p.outputs), None)
    if unrun is not None or not compared:
        reason = unrun.reason if unrun is not None else ""
        raise CannotMeasure(reason or found.reason or "there are no numeric outputs to compare")
    for provider, output in compared:
        if output.incomparable:
            raise CannotMeasure(f"{_where(provider, output)}: {output.detail}")
    provider, output = min(compared, key=lambda pair: _rank(figure(pair[1])))
    value = figure(output)
    return Finding(value, value >= limit, _where(provider, output))


def _rank(value: float) -> float:
    return -math.inf if math.isnan(value) else value


def _compared(provider: ProviderResult) -> list[tuple[ProviderResult, OutputResult]]:
    return [
        (provider, output)
        for output in provider.outputs
        if output.verdict != _UNCOMPARED and output.dtype != _TEXT
    ]


def _where(provider: ProviderResult, output: OutputResult) -> str:
    return f"output {output.name!r} on {provider.provider.removesuffix('ExecutionProvider')}"
