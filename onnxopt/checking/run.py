"""Holding a build against its budget: each key is measured by a function of its name."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from . import agreement, facts, latency, outputs, placing
from .budget import Budget
from .subject import Settings, Subject, present
from .verdict import CannotMeasure, Check, Finding, Verdict

if TYPE_CHECKING:
    from ..compiler.staging import Source

MEASURES: dict[str, Callable[[Subject, Any], Finding]] = {
    "max_bytes": facts.max_bytes,
    "max_bytes_ratio": facts.max_bytes_ratio,
    "max_nodes": facts.max_nodes,
    "allowed_domains": facts.allowed_domains,
    "max_opset": facts.max_opset,
    "max_ir_version": facts.max_ir_version,
    "required_provider": placing.required_provider,
    "validation": outputs.validation,
    "min_cosine": outputs.min_cosine,
    "min_snr_db": outputs.min_snr_db,
    "min_top1_agreement": agreement.min_top1_agreement,
    "max_latency_ratio": latency.max_latency_ratio,
}


def check_build(build: Source, budget: Budget, against: Source | None, settings: Settings) -> Check:
    """Measures all that a budget asks for.

    Args:
        build: The model to check.
        budget: What must hold.
        against: The model to compare it with.
        settings: How to run them; samples that it names replace those of the budget, and without providers models run
            on the one that the budget requires.

    Raises:
        UsageError: A key compares and there is no model to compare with; samples do not fit; no such provider.
        ModelError: A model cannot be read or is invalid.
    """
    begun = time.monotonic()
    if against is None:
        budget.require_reference()
    subject = Subject(build, against, _completed(settings, budget))
    for origin in (subject.build, subject.taken):
        origin.peek()  # what cannot be read is an error whatever is asked for
    verdicts = tuple(_judged(subject, budget, key) for key in budget.limits)
    return Check(
        subject.label,
        subject.against_label,
        budget.source,
        verdicts,
        _notes(subject),
        time.monotonic() - begun,
    )


def _completed(settings: Settings, budget: Budget) -> Settings:
    if settings.feeds is None and not settings.inputs:
        settings = replace(settings, inputs=budget.inputs)
    required = budget.limits.get("required_provider")
    if isinstance(required, str):
        _known(required, budget)
        if not settings.providers:
            settings = replace(settings, providers=[required])
    return settings


def _known(provider: str, budget: Budget) -> None:
    """Refuses the name of a provider that there is none of; one that is missing here is a verdict."""
    try:
        present(provider)
    except CannotMeasure:
        return
    except UsageError as error:
        raise UsageError(f"{budget.where('required_provider')}: {error}") from None


def _judged(subject: Subject, budget: Budget, key: str) -> Verdict:
    begun = time.monotonic()
    limit = budget.limits[key]
    try:
        found = MEASURES[key](subject, limit)
    except CannotMeasure as error:
        found = Finding(None, False, f"cannot be measured: {error}")
    return Verdict(
        key,
        limit,
        found.value,
        "passed" if found.holds else "failed",
        found.detail,
        budget.lines.get(key),
        time.monotonic() - begun,
    )


def _notes(subject: Subject) -> tuple[str, ...]:
    """What the validation remarked, if one was made."""
    validation = subject.__dict__.get("validation")
    return () if validation is None else tuple(validation.notes)
