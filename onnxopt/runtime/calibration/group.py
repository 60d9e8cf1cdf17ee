"""One group of values, observed over samples in one session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from onnxopt.runtime.calibration.fetching import FLOAT_TYPES, fetched, telling
from onnxopt.runtime.calibration.keeper import Keeper
from onnxopt.runtime.calibration.state import State
from onnxopt.runtime.readers.reader import Sample


class Group:
    """Observes some values.

    Args:
        session: returns ``fetch``; None where nothing need be run.
        fetch: names of all its outputs: the values observed, and state.
        values: those observed.
        inputs: inputs observed, in the samples themselves.
        state: what is fed back.
        keeper: takes what is seen.
    """

    def __init__(
        self,
        session: Any,
        fetch: Sequence[str],
        values: Sequence[str],
        inputs: Sequence[str],
        state: State,
        keeper: Keeper,
    ) -> None:
        self._session = session
        self._fetch = list(fetch)
        self._inputs = list(inputs)
        self._state = state
        self._keeper = keeper
        types = {} if session is None else {out.name: out.type for out in session.get_outputs()}
        self._values = {name for name in values if types[name] in FLOAT_TYPES}
        for name in values:
            if name not in self._values:
                keeper.refused[name] = f"is {types[name]}, not of floating point"

    @property
    def observed(self) -> list[str]:
        """The values observed: those that turn out to be floats, and inputs."""
        return [*self._values, *self._inputs]

    def take(self, number: int, sample: Sample) -> None:
        """Runs a sample and observes it.

        Raises:
            ModelError: the model does not run on it.
        """
        feed = self._state.complete(sample)
        given = {name: feed[name] for name in self._inputs if feed.get(name) is not None}
        self._keeper.observe(number, sample.where, given)
        if self._session is None:
            return
        with telling(sample.where), fetched(self._session, self._fetch, feed) as outputs:
            self._state.keep({name: np.array(outputs[name]) for name in self._state.outputs})
            for name in set(outputs) - self._values:
                del outputs[name]
            self._keeper.observe(number, sample.where, outputs)
