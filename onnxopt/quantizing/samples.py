"""A few of the user's samples, as a model takes them: to time on, and to validate the result with."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

import onnx_ir as ir

from ..runtime.calibration.state import State
from ..runtime.readers.opening import open_reader
from ..runtime.readers.reader import Sample
from ..runtime.trace import input_specs
from .request import Samples

_READ = 64


def some(model: ir.Model, samples: Samples, count: int) -> list[dict[str, Any]]:
    """Chooses samples from all over the first ones; state that is fed back is as at a sequence's begin.

    Args:
        model: Takes them.
        samples: Where they are.
        count: How many to choose at least, where there are so many; fewer than twice as many are chosen.

    Raises:
        UsageError: They do not fit the model.
    """
    specs = input_specs(model)
    reader = open_reader(samples.source, specs, options=samples.reading(_READ if count > 1 else 1))
    state = State(samples.state, specs)
    chosen = _spread(islice(reader, _READ), count)
    return [dict(state.complete(sample)) for sample in chosen]


def _spread(stream: Iterable[Sample], count: int) -> list[Sample]:
    """Every n-th of a stream, n as large as leaves enough; few are held at a time."""
    kept: list[Sample] = []
    stride = 1
    for number, sample in enumerate(stream):
        if number % stride:
            continue
        kept.append(sample)
        if len(kept) == 2 * count:
            kept, stride = kept[::2], 2 * stride
    return kept
