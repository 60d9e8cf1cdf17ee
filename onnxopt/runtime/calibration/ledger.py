"""Statistics as they grow, how many samples each value has had, and both saved from time to time.

When a model is observed in groups, or a run is broken off, values have had different numbers of samples. The
statistics are all in one file; the counts are in another beside it, which is there only while a run isn't finished.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from onnxopt.errors import ModelError, UsageError
from onnxopt.quantization.statistics import Statistics

_EVERY_S = 5.0
_SHARE = 20  # saving takes this part of the time at most


@dataclass
class Counts:
    """How far a run has come.

    Attributes:
        done: samples that each value has had.
        refused: why a value is no longer observed, by name.
    """

    done: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


class Ledger:
    """Feeds statistics and keeps count.

    Args:
        statistics: what observes.
        path: where to save.
        source: where the samples are, as the user wrote it.
        so_far: what an earlier run that was not finished has counted.
        threads: how many values are observed at a time.

    Attributes:
        done: samples that each value has had.
        refused: why a value is no longer observed, by name.
    """

    def __init__(
        self,
        statistics: Statistics,
        path: Path,
        source: str,
        so_far: Counts,
        threads: int | None,
    ) -> None:
        self._statistics = statistics
        self._path = path
        self._source = source
        self.done = dict(so_far.done)
        self.refused = dict(so_far.refused)
        self._saved = time.monotonic()
        self._cost = 0.0
        self._pool = ThreadPoolExecutor(threads or os.cpu_count() or 1)

    def observe(self, number: int, where: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Takes the values of a sample into account, each unless it has had this sample.

        Values are independent of each other, and each sees the samples in order: the result does not depend on
        threads. numpy works on other values meanwhile, as it holds no lock while it computes.

        Args:
            number: the sample's number, from 0.
            where: the sample, for messages.
            arrays: values by name.
        """
        fresh = [name for name in arrays if self.done.get(name, 0) <= number]
        results = self._pool.map(lambda name: self._update(name, arrays[name]), fresh)
        for name, trouble in zip(fresh, results, strict=True):
            self.done[name] = number + 1
            if trouble:
                self.refused[name] = f"{where}: {trouble}"
                # What was seen until then is no range to rely on, and must not look like one in the file.
                self._statistics.forget(name)

    def _update(self, name: str, array: np.ndarray) -> str:
        if name in self.refused:
            return ""
        try:
            self._statistics.update(name, array)
        except ValueError as error:
            return str(error)
        return ""

    def behind(self, names: Iterable[str]) -> int:
        """The least number of samples that one of the values has had."""
        return min((self.done.get(name, 0) for name in names), default=0)

    def save_in_time(self) -> None:
        """Saves if that was some time ago."""
        if time.monotonic() - self._saved > max(_EVERY_S, _SHARE * self._cost):
            self.save()

    def save(self) -> None:
        """Saves the statistics and the counts."""
        begun = time.monotonic()
        self._statistics.samples = self.behind(self.done)
        self._statistics.save(self._path)
        data = {
            "source": self._source,
            "elements": _elements(self._statistics),
            "done": self.done,
            "refused": self.refused,
        }
        counts = counts_path(self._path)
        part = counts.with_name(f"{counts.name}.part")
        try:
            part.write_text(json.dumps(data), encoding="utf-8")
            part.replace(counts)
        except OSError as error:
            raise ModelError(f"cannot write {counts}: {error.strerror or error}") from None
        self._saved = time.monotonic()
        self._cost = self._saved - begun


def counts_path(path: Path) -> Path:
    """Where the counts that belong to a file of statistics are."""
    return path.with_name(f"{path.name}.unfinished")


def read_counts(path: Path, statistics: Statistics, source: str) -> Counts:
    """The counts beside a file of statistics.

    Args:
        path: the file of statistics.
        statistics: what it holds.
        source: where the samples are that are to be gone on with.

    Raises:
        UsageError: they are of other samples, or do not belong to these statistics.
    """
    counts = counts_path(path)
    remedy = f"delete {counts} to begin anew"
    try:
        data = json.loads(counts.read_text(encoding="utf-8"))
        counted = Counts(
            {str(name): int(count) for name, count in data["done"].items()},
            {str(name): str(why) for name, why in data["refused"].items()},
        )
        elements, theirs = int(data["elements"]), str(data["source"])
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        raise UsageError(f"{counts}: cannot be read: {remedy}") from None
    if theirs != source:
        raise UsageError(f"{path}: is of an unfinished run over {theirs}, not {source}: {remedy}")
    if elements != _elements(statistics):
        raise UsageError(f"{path}: was changed since its run was broken off: {remedy}")
    return counted


def _elements(statistics: Statistics) -> int:
    """How many elements were seen: tells whether counts and statistics were saved together."""
    return sum(tensor.count for tensor in statistics.tensors.values())
