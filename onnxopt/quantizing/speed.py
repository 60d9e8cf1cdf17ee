"""How fast a candidate is beside the optimised float model, both as a user runs them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..compiler.race import Race
from .calibrating import provider_of
from .request import Samples

if TYPE_CHECKING:
    import onnx_ir as ir

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


def sample(model: ir.Model, samples: Samples | None) -> dict[str, Any] | None:
    """One sample to time on: the first of the user's; None to have some generated."""
    return None if samples is None else first_of(model, samples, 1)[0]


def first_of(model: ir.Model, samples: Samples, count: int) -> list[dict[str, Any]]:
    """The first samples, each on its own.

    State that is fed back is zero, of the sizes that the model states, 1 where it does not.

    Args:
        model: The model whose inputs they are.
        samples: Where they are.
        count: How many are read at most.

    Raises:
        UsageError: There are none, or one does not fit.
    """
    from ..runtime.readers.opening import open_reader
    from ..runtime.trace import input_specs

    specs = input_specs(model)
    feeds = []
    for found in open_reader(samples.source, specs, options=samples.reading(count)):
        feed: dict[str, Any] = dict(found.feed)
        for spec in specs:
            if spec.name not in feed and spec.name in samples.state.values():
                shape = [d if isinstance(d, int) else 1 for d in spec.shape or ()]
                feed[spec.name] = np.zeros(shape, spec.dtype)
        feeds.append(feed)
    return feeds
