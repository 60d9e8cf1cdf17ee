"""What the reference returned for each sample, kept in a folder: later comparisons read it instead of running it again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from onnxopt.runtime.feedio import load_feed, save_feed

_INDEX = "kept.json"

Outputs = dict[str, np.ndarray[Any, Any]]


class Store:
    """Outputs in a folder; there are none until all are written.

    Args:
        folder: where; it is made when something is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def count(self) -> int | None:
        """Of how many samples outputs are kept; None where none are."""
        index = self._index()
        return None if index is None else int(index["samples"])

    @property
    def notes(self) -> list[str]:
        """What was to be said of the reference's run."""
        index = self._index()
        return [] if index is None else list(index["notes"])

    def keep(self, outputs: Sequence[Mapping[str, Any]], notes: Sequence[str]) -> None:
        """Writes outputs, by name, of each sample."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for number, found in enumerate(outputs):
            save_feed(found, self._folder, number)
        index = {"samples": len(outputs), "notes": list(notes)}
        (self._folder / _INDEX).write_text(json.dumps(index), encoding="utf-8")

    def load(self, count: int) -> list[Outputs]:
        """Reads the outputs of the first samples."""
        return [load_feed(self._folder, number) for number in range(count)]

    def _index(self) -> dict[str, Any] | None:
        path = self._folder / _INDEX
        if not path.exists():
            return None
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
