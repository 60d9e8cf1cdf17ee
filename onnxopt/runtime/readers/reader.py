"""What every reader has in common: samples one at a time, counted, limited and checked against the model.

A reader can be read several times, from the start each time, and gives the same samples each time. It never
holds more than one sample, so that memory does not depend on how many there are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from onnxopt.errors import UsageError
from onnxopt.runtime.checks import check_feed
from onnxopt.runtime.facts import InputSpec
from onnxopt.runtime.feedio import Feed
from onnxopt.runtime.readers.options import ReaderOptions
from onnxopt.runtime.tensors import is_extended


@dataclass(frozen=True)
class Sample:
    """One sample.

    Attributes:
        where: file and number, or whatever else finds it, for messages.
        feed: arrays by input name.
        begins: whether a sequence begins with it: state that is fed back starts anew.
    """

    where: str
    feed: Feed
    begins: bool = False


class Reader(ABC):
    """Yields samples; iterate over it as often as needed.

    Args:
        source: the file, folder or function, as the user wrote it.
        specs: the inputs that must be fed.
        options: how to read; ``options.limit`` samples at most are read.
    """

    def __init__(self, source: str, specs: Sequence[InputSpec], options: ReaderOptions) -> None:
        self.source = source
        self.specs = list(specs)
        self.options = options

    @abstractmethod
    def read(self) -> Iterator[Sample]:
        """Yields every sample there is, unchecked."""

    @property
    def wanted(self) -> list[InputSpec]:
        """The inputs that samples must hold: all but those that state is fed to."""
        return [spec for spec in self.specs if spec.name not in self.options.fed_back]

    def __iter__(self) -> Iterator[Sample]:
        """Yields samples that fit the model.

        Raises:
            UsageError: nothing there, or a sample that does not fit; names the sample and the input.
        """
        if self.options.limit is not None and self.options.limit < 1:
            raise UsageError(f"{self.options.limit} samples are none: give a number from 1 up")
        number = 0
        for sample in self.read():
            self._check(sample)
            yield sample
            number += 1
            if number == self.options.limit:
                return
        if not number:
            raise UsageError(f"{self.source}: holds no samples: give at least one")

    def _check(self, sample: Sample) -> None:
        optional: set[str | None] = set(self.options.optional)
        specs = [
            spec
            for spec in self.specs
            if spec.name not in self.options.fed_back or spec.name in sample.feed
        ]
        check_feed(sample.where, sample.feed, specs, optional)
        for spec in specs:
            _check_finite(sample, spec)


def _check_finite(sample: Sample, spec: InputSpec) -> None:
    """A single NaN would be every range's; an infinite one too, save in masks, which are made of them."""
    array = sample.feed.get(spec.name)
    if not isinstance(array, np.ndarray) or not array.size:
        return
    if array.dtype.kind != "f":
        if not is_extended(array.dtype) or array.dtype.itemsize < 2:
            return
        array = array.astype(np.float32)
    if np.isfinite(array).all():
        return
    what = "NaN" if np.isnan(array).any() else "Inf"
    if what == "Inf" and spec.facts.role == "additive-mask":
        return
    raise UsageError(
        f"{sample.where}: input {spec.name!r} holds {what}: remove the sample, or replace such values"
    )
