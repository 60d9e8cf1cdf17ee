"""State of a recurrent model: an output of one run is an input of the next, within a sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from onnxopt.errors import UsageError
from onnxopt.runtime.facts import InputSpec, size_of
from onnxopt.runtime.feedio import Feed
from onnxopt.runtime.readers.reader import Sample
from onnxopt.runtime.tensors import extended_dtype


class State:
    """What is carried from sample to sample.

    Args:
        pairs: output name -> input name.
        specs: the model's inputs.
    """

    def __init__(self, pairs: Mapping[str, str], specs: Sequence[InputSpec]) -> None:
        self._pairs = dict(pairs)
        self._specs = list(specs)
        self._held: Feed = {}

    @property
    def outputs(self) -> list[str]:
        """The outputs to fetch."""
        return list(self._pairs)

    def complete(self, sample: Sample) -> Feed:
        """A sample with the state of its sequence so far.

        At a sequence's begin that is what the sample itself holds, else zeros. Later what it holds is passed
        over: an archive may have the initial state beside each sample.
        """
        if sample.begins:
            self._held = {}
        feed = dict(sample.feed)
        for spec in self._specs:
            if spec.name not in self._pairs.values():
                continue
            if spec.name in self._held:
                feed[spec.name] = self._held[spec.name]
            elif spec.name not in feed:
                feed[spec.name] = self._zeros(spec, sample.feed)
        return feed

    def keep(self, outputs: Mapping[str, np.ndarray]) -> None:
        """Takes what a run returned for the outputs; arrays that stay as they are."""
        self._held = {self._pairs[name]: array for name, array in outputs.items()}

    def _zeros(self, spec: InputSpec, feed: Feed) -> np.ndarray:
        """Zeros of the input's shape: open dims as the sample has them, else 1."""
        if spec.shape is None:
            raise UsageError(
                f"state {spec.name!r} has no shape in the model: give its first value in the samples"
            )
        sizes = dim_sizes(self._specs, feed)
        shape = [1 if (n := size_of(dim, sizes)) is None else n for dim in spec.shape]
        try:
            return np.zeros(shape, spec.dtype)
        except TypeError:
            return np.zeros(shape, extended_dtype(spec.dtype))


def dim_sizes(specs: Sequence[InputSpec], feed: Feed) -> dict[str, int]:
    """Sizes of named dims in a sample."""
    sizes: dict[str, int] = {}
    for spec in specs:
        array = feed.get(spec.name)
        if isinstance(array, np.ndarray) and spec.shape is not None:
            pairs = zip(spec.shape, array.shape, strict=False)
            sizes.update((dim, size) for dim, size in pairs if isinstance(dim, str))
    return sizes


def check_pairs(
    pairs: Mapping[str, str], outputs: Sequence[str], specs: Sequence[InputSpec]
) -> None:
    """Look whether a model has the inputs and outputs of the pairs.

    Raises:
        UsageError: it lacks one, or an input is fed twice.
    """
    inputs = [spec.name for spec in specs]
    for output, target in pairs.items():
        pair = f"--state {output}={target}"
        if output not in outputs:
            raise UsageError(
                f"{pair}: the model has no output {output!r} (it has {', '.join(outputs)})"
            )
        if target not in inputs:
            raise UsageError(
                f"{pair}: the model has no input {target!r} (it has {', '.join(inputs)})"
            )
        if list(pairs.values()).count(target) > 1:
            raise UsageError(f"{pair}: another output is fed to {target!r}, too: keep one")
