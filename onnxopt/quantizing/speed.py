"""How fast a candidate is beside the optimised float model, both as a user runs them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..compiler.race import Race
from .calibrating import provider_of

if TYPE_CHECKING:
    from ..compiler.options import Options


def race(
    plain: Path, candidate: Path, feed: Mapping[str, Any], options: Options, seconds: float
) -> Race:
    """Times two models in turn, until it is clear which is faster or time is up.

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
    with Stopwatch(provider_of(options), libraries, options.timeout) as watch:
        try:
            watch.pick_sample(plain, [feed])
            while not found.settled and (
                len(found.rounds) < 2 or time.monotonic() - begun < seconds
            ):
                options.stage(f"timing, round {len(found.rounds) + 1}")
                found.rounds.append(watch.round(plain, candidate))
        except CannotTime as error:
            found.reason = str(error)
            found.broken = error.model
    return found
