"""Statistics of a model's tensors: gathered, kept in a small file, merged with those of other sites.

A file names the model by its fingerprint, since ranges of another model's tensors would be used without
any sign of it. Nothing in it depends on the order of samples, so merging the files of several sites
gives, bit for bit, the file of one run over all their samples.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import replace_text
from ..errors import ModelError, UsageError
from .observers import TensorStatistics
from .wants import Wants

Array = np.ndarray[Any, Any]
_FORMAT = "onnxopt statistics"
_VERSION = 1


class Statistics:
    """Statistics of the tensors of one model.

    Args:
        fingerprint: What tells the model from others.
        wants: What to gather of which tensor.

    Attributes:
        fingerprint: As given.
        samples: How many samples were seen; whoever feeds them counts them.
        tensors: Name -> statistics.
    """

    def __init__(self, fingerprint: str, wants: Mapping[str, Wants]) -> None:
        self.fingerprint = fingerprint
        self.samples = 0
        self.tensors = {name: TensorStatistics(want) for name, want in wants.items()}

    def update(self, name: str, array: Array) -> None:
        """Adds what a tensor is in one sample.

        Raises:
            KeyError: Nothing is wanted of that tensor.
            ValueError: The array cannot be added (`TensorStatistics.update`); named is the tensor.
        """
        try:
            self.tensors[name].update(array)
        except ValueError as error:
            raise ValueError(f"tensor '{name}' {error}") from None

    def forget(self, name: str) -> None:
        """Begins anew with a tensor, as if no sample had been seen of it."""
        self.tensors[name] = TensorStatistics(self.tensors[name].wants)

    def merge(self, other: Statistics) -> None:
        """Adds statistics of other samples.

        Raises:
            UsageError: They are of another model, or other things were gathered. Nothing was added.
        """
        other.check_model(self.fingerprint)
        for name in sorted(self.tensors.keys() ^ other.tensors.keys()):
            raise UsageError(
                f"statistics cannot be merged: only some are of tensor '{name}'; "
                "gather all with the same options"
            )
        for name, tensor in self.tensors.items():
            _check_alike(name, tensor, other.tensors[name])
        for name, tensor in self.tensors.items():
            tensor.merge(other.tensors[name])
        self.samples += other.samples

    def check_model(self, fingerprint: str) -> None:
        """Refuses statistics of another model.

        Args:
            fingerprint: Of the model they are wanted for.

        Raises:
            UsageError: It isn't the one they are of.
        """
        if fingerprint != self.fingerprint:
            raise UsageError(
                f"these are statistics of another model ({self.fingerprint} instead of {fingerprint}); "
                "gather them again with this model"
            )

    def save(self, path: Path | str) -> None:
        """Writes a file, whole or not at all.

        Raises:
            ModelError: It cannot be written there.
        """
        data = {
            "format": _FORMAT,
            "version": _VERSION,
            "model": self.fingerprint,
            "samples": self.samples,
            "tensors": {name: self.tensors[name].to_json() for name in sorted(self.tensors)},
        }
        text = json.dumps(data, separators=(",", ":"), allow_nan=False) + "\n"
        try:
            replace_text(Path(path), text)
        except OSError as error:
            raise ModelError(f"cannot write {path}: {error.strerror or error}") from None


def load(path: Path | str) -> Statistics:
    """Reads a file of statistics.

    Raises:
        ModelError: It cannot be read, or is damaged.
        UsageError: It isn't one, or of another version.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        raise UsageError(f"{path} is no file of statistics; --stats-out writes one")
    if data.get("version") != _VERSION:
        raise UsageError(
            f"{path} has version {data.get('version')} of statistics, and {_VERSION} is known; "
            "gather them again"
        )
    try:
        return _read(data)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModelError(f"{path} is damaged ({error}); gather the statistics again") from None


def load_merged(paths: Iterable[Path | str]) -> Statistics:
    """Reads files of statistics and merges them.

    Raises:
        ModelError: One cannot be read, or is damaged.
        UsageError: There is none, one isn't such a file, or they don't fit together.
    """
    merged: Statistics | None = None
    for path in paths:
        statistics = load(path)
        try:
            if merged is not None:
                merged.merge(statistics)
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from None
        merged = merged or statistics
    if merged is None:
        raise UsageError("no file of statistics was given")
    return merged


def _read(data: dict[str, Any]) -> Statistics:
    statistics = Statistics(str(data["model"]), {})
    statistics.samples = int(data["samples"])
    for name, tensor in data["tensors"].items():
        try:
            statistics.tensors[name] = TensorStatistics.from_json(tensor)
        except KeyError as error:
            raise ValueError(f"tensor '{name}' lacks {error}") from None
        except ValueError as error:
            raise ValueError(f"tensor '{name}': {error}") from None
    return statistics


def _check_alike(name: str, mine: TensorStatistics, theirs: TensorStatistics) -> None:
    try:
        mine.check_alike(theirs)
    except ValueError as error:
        raise UsageError(
            f"statistics cannot be merged: tensor '{name}' {error}; gather all with the same options"
        ) from None
