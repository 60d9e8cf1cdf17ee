"""Deciding between results, and refusing those that do not hold what was asked for."""

from __future__ import annotations

from collections.abc import Collection

from ..errors import MismatchError
from .account import Account, Trial


def best(trials: list[Trial], made: Collection[str]) -> str:
    """The fastest mode that is close enough; else the closest."""
    there = [trial for trial in trials if trial.mode in made]
    holding = [trial for trial in there if trial.holds and not trial.why]
    if holding:
        return min(holding, key=lambda t: t.ratio if t.ratio is not None else 1.0).mode
    return max(there, key=_closeness).mode


def told(trial: Trial) -> str:
    """How close a result is, in words."""
    quality = trial.quality
    if quality is None or quality.overall is None:
        return trial.why or "nothing to compare"
    overall = quality.overall
    return f"an SNR of {overall.snr_db:.1f} dB and a cosine of {overall.cosine:.5f}"


def refuse_unfused(account: Account) -> None:
    """Refuses a result of which a node computes in float that should not.

    Raises:
        MismatchError: There is one.
    """
    report = account.fusion
    if report is None or not report.unfused:
        return
    first = next(iter(report.unfused))
    raise MismatchError(
        f"{len(report.unfused)} nodes that should compute in integers do not, such as {first.name!r}: "
        f"{first.reason}; leave out --strict-fusion, or exclude them"
    )


def _closeness(trial: Trial) -> float:
    overall = None if trial.quality is None else trial.quality.overall
    return float("-inf") if overall is None else overall.snr_db
