"""Where the child gets its samples from: the user's files, or generation from the specs.

Samples are produced one at a time and again for each model, so only the reference's outputs are held
in memory. Generated samples are deterministic: the same attempt gives the same arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from onnxopt.runtime.feedio import Feed, load_feed
from onnxopt.runtime.inputs import feed_for
from onnxopt.runtime.job import FEEDS, OVERRIDES, Job
from onnxopt.runtime.sizes import Attempt, SizePlan
from onnxopt.runtime.values import CannotDraw


@dataclass
class Sample:
    """One set of inputs and how to produce it again."""

    label: str
    index: int
    attempt: Attempt | None = None
    overriding: bool = False
    sizes: dict[str, int] = field(default_factory=dict)


class Source(Protocol):
    """Proposes samples, learns which run, and produces their arrays."""

    generated: bool

    def __iter__(self) -> Iterator[Sample]:
        """Samples to try, in order."""

    def accept(self, sample: Sample) -> None:
        """The reference ran on this sample."""

    def feed(self, sample: Sample) -> Feed:
        """The arrays of a sample."""


def make_source(job: Job, folder: Path) -> Source:
    """The source a job asks for."""
    return _Files(job, folder) if job.feed_count else _Generated(job, folder)


class _Files:
    generated = False

    def __init__(self, job: Job, folder: Path) -> None:
        self._count = job.feed_count
        self._folder = folder / FEEDS

    def __iter__(self) -> Iterator[Sample]:
        for index in range(self._count):
            yield Sample(f"sample {index}", index)

    def accept(self, sample: Sample) -> None:
        """Nothing to learn: every sample is run."""

    def feed(self, sample: Sample) -> Feed:
        return load_feed(self._folder, sample.index)


class _Generated:
    generated = True

    def __init__(self, job: Job, folder: Path) -> None:
        self._specs = job.input_specs
        wanted = job.samples if self._specs else 1
        self._plan = SizePlan(self._specs, wanted)
        self._seed = job.seed
        self._overrides = load_feed(folder / OVERRIDES, 0) if job.overrides else None
        self._accepted: list[Sample] = []

    def __iter__(self) -> Iterator[Sample]:
        number = 0
        for number, attempt in enumerate(self._plan):
            sizes = {name: n for name, n in attempt.sizes.items() if not name.startswith("?rank")}
            label = f"generated, seed {self._seed + number}, variant {attempt.variant}"
            yield Sample(label, number, attempt, sizes=sizes)
        if self._overrides is not None and self._accepted:
            first = self._accepted[0]
            label = f"{first.label}, initializers overridden"
            yield Sample(label, first.index, first.attempt, True, first.sizes)

    def accept(self, sample: Sample) -> None:
        self._accepted.append(sample)
        if sample.attempt is not None and not sample.overriding:
            self._plan.accept(sample.attempt)

    def feed(self, sample: Sample) -> Feed:
        if sample.attempt is None:
            raise CannotDraw("no attempt")
        feed = feed_for(self._specs, sample.attempt, self._seed + sample.index)
        return {**feed, **(self._overrides or {})} if sample.overriding else feed


def shapes_of(feed: Feed) -> dict[str, Any]:
    """Shapes of a feed's values, for the report."""
    return {name: _shape(value) for name, value in feed.items()}


def _shape(value: Any) -> Any:
    if isinstance(value, list):
        return [_shape(item) for item in value]
    return list(value.shape) if isinstance(value, np.ndarray) else None
