"""Generating inputs that fit a graph: specs from the graph, sizes from the plan, values from the facts.

The same code runs in two places. `generate` gives a caller a list of feeds. The child process that
runs the reference draws feeds one at a time from the specs instead, and tells the plan which
ones the model accepted, so that nothing is written to disk and sizes can settle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from onnxopt.runtime.facts import InputSpec
from onnxopt.runtime.feedio import Feed
from onnxopt.runtime.samples import load
from onnxopt.runtime.sizes import Attempt, SizePlan
from onnxopt.runtime.values import CannotDraw, draw

if TYPE_CHECKING:
    import onnx_ir as ir

    from onnxopt.runtime.modelfacts import Traits

__all__ = ["DEFAULT_SAMPLES", "Feed", "GeneratedFeeds", "feed_for", "generate", "load"]

DEFAULT_SAMPLES = 5


class GeneratedFeeds(list[Feed]):
    """Generated feeds that remember how they were made.

    Given to `validate`, the feeds themselves are not used: the child generates from the same specs, and can
    therefore try other sizes where the model refuses these.

    Attributes:
        specs: the inputs.
        samples: how many feeds were asked for.
        seed: the seed.
        traits: what else validation needs to know of the model.
    """

    def __init__(self, specs: Sequence[InputSpec], samples: int, seed: int, traits: Traits) -> None:
        super().__init__()
        self.specs = list(specs)
        self.traits = traits
        self.samples = samples
        self.seed = seed


def generate(model: ir.Model, *, samples: int = DEFAULT_SAMPLES, seed: int = 0) -> GeneratedFeeds:
    """Generate feeds from what the graph does with its inputs.

    Nothing is run, so sizes of symbolic dims are typical ones; `validate` without feeds does the same
    but tries other sizes where the model refuses these.

    Args:
        model: the model; weights are not read.
        samples: how many feeds.
        seed: seed of the random values.

    Returns:
        Feeds: input name -> array (list for sequences, None for an absent optional).
    """
    from onnxopt.runtime.modelfacts import Traits
    from onnxopt.runtime.trace import input_specs

    specs = input_specs(model)
    plan = SizePlan(specs, samples)
    feeds = GeneratedFeeds(specs, samples, seed, Traits.of(model, seed))
    for attempt in plan:
        try:
            feeds.append(feed_for(specs, attempt, seed + len(feeds)))
        except CannotDraw:
            continue
        plan.accept(attempt)
        if len(feeds) == samples:
            break
    return feeds


def feed_for(specs: Sequence[InputSpec], attempt: Attempt, seed: int) -> Feed:
    """Draw one feed.

    Args:
        specs: the inputs.
        attempt: sizes and variant.
        seed: seed; each input gets its own stream, so adding an input changes no other.

    Returns:
        The feed.

    Raises:
        CannotDraw: the sizes give an impossible shape.
    """
    feed: Feed = {}
    for index, spec in enumerate(specs):
        rng = np.random.default_rng((seed, index))
        feed[spec.name] = draw(spec, attempt.sizes, attempt.variant, rng)
    return feed
