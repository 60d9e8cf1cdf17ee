"""How fast a candidate is beside the optimised float model, both as a user runs them.

Only one thing follows from it for a single mode: whether the candidate saves enough to be worth its loss. So rounds end as soon as
they all agree on that, and are short: the least that models of some microseconds are timed well by.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..compiler.race import LEAST_GAIN, Race
from .account import WORTH
from .calibrating import provider_of

if TYPE_CHECKING:
    from ..compiler.options import Options

_LEAST, _MOST = 3, 7
_WARM, _RUN = 0.05, 0.15
"""Seconds of a model's runs in a round: those not counted, and those counted."""


def race(
    plain: Path, candidate: Path, feed: Mapping[str, Any], options: Options, seconds: float
) -> Race:
    """Times two models in turn, until it is clear whether the candidate is worth it, or time is up.

    Args:
        plain: The float model's file.
        candidate: The quantised model's file.
        feed: What to run: arrays by input name.
        options: Provider, libraries, time limit.
        seconds: How long it may take, but for the first rounds.
    """
    from ..runtime.stopwatch import CannotTime, Stopwatch

    found, begun = Race(), time.monotonic()
    libraries = [str(library) for library in options.custom_op_libraries]
    provider = provider_of(options)
    with Stopwatch(provider, libraries, options.timeout, warm_s=_WARM, run_s=_RUN) as watch:
        watch.take_sample(feed)
        try:
            while not clear(found) and (
                len(found.rounds) < 2 or time.monotonic() - begun < seconds
            ):
                options.stage(f"timing, round {len(found.rounds) + 1}")
                found.rounds.append(watch.round(plain, candidate))
        except CannotTime as error:
            found.reason = str(error)
            found.broken = error.model
    return found


def clear(found: Race) -> bool:
    """Whether all rounds so far agree if the candidate is worth it, by more than the least difference that counts."""
    if len(found.rounds) >= _MOST:
        return True
    if len(found.rounds) < _LEAST:
        return False
    ratios = found.ratios
    return max(ratios) < WORTH - LEAST_GAIN or min(ratios) > WORTH + LEAST_GAIN
