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
        """Takes what a run returned for the outputs; arrays that stay as they are.

        Raises:
            UsageError: An input does not take what is to be fed to it.
        """
        specs = {spec.name: spec for spec in self._specs}
        for name, array in outputs.items():
            if isinstance(array, np.ndarray):
                check_fit(name, array.dtype.name, array.shape, specs[self._pairs[name]])
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


def check_fit(output: str, dtype: str, shape: Sequence[int | None] | None, spec: InputSpec) -> None:
    """Look whether an input takes what an output returns.

    Args:
        output: the output's name.
        dtype: its element type, as numpy calls it.
        shape: its shape; None for dims, or for all, where that is not known.
        spec: the input.

    Raises:
        UsageError: it is of another type or shape.
    """
    if spec.kind != "tensor" or spec.dtype == "str":
        return
    if dtype == spec.dtype and _agree(shape, spec.shape):
        return
    made, taken = _spelt(dtype, shape), _spelt(spec.dtype, spec.shape)
    raise UsageError(
        f"--state {output}={spec.name}: the model returns {made} as {output!r} and takes {taken} as {spec.name!r}: "
        "name an output of the input's type and shape"
    )


def _agree(shape: Sequence[int | None] | None, taken: Sequence[int | str] | None) -> bool:
    if shape is None or taken is None:
        return True
    pairs = zip(shape, taken, strict=False)
    return len(shape) == len(taken) and all(
        one is None or isinstance(other, str) or one == other for one, other in pairs
    )


def _spelt(dtype: str, shape: Sequence[int | str | None] | None) -> str:
    if shape is None:
        return dtype
    unknown = ("?" if d is None or str(d).startswith("?") else str(d) for d in shape)
    return f"{dtype}[{', '.join(unknown)}]"
