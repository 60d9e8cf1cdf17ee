"""Gram matrices X^T X of values [..., K], summed over samples: what a product's weights are rounded by.

Rows are collected until there are some, multiplied in float32 and added up in float64: a sample of a few rows would
otherwise cost as much as adding up [K, K] does. Memory is that of the matrices and of those rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

_ROWS = 1024


class Gram:
    """The Gram matrix of one value.

    Args:
        depth: K, the last dim.
    """

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self._sum = np.zeros((depth, depth))
        self._rows = np.empty((_ROWS, depth), np.float32)
        self._held = 0
        self.count = 0

    def add(self, rows: np.ndarray) -> None:
        """Adds rows [R, K] of any float type."""
        self.count += len(rows)
        while len(rows):
            taken = min(len(rows), _ROWS - self._held)
            self._rows[self._held : self._held + taken] = rows[:taken]
            self._held += taken
            rows = rows[taken:]
            if self._held == _ROWS:
                self._flush()

    def total(self) -> np.ndarray:
        """The matrix of all rows so far, float64 [K, K]."""
        self._flush()
        return self._sum

    def _flush(self) -> None:
        rows = self._rows[: self._held]
        self._sum += rows.T @ rows
        self._held = 0


class Sums:
    """Adds up the Gram matrices of values; a `keeper.Keeper`.

    Attributes:
        refused: why a value has none, by name.
    """

    def __init__(self) -> None:
        self._grams: dict[str, Gram] = {}
        self.refused: dict[str, str] = {}

    def observe(self, number: int, where: str, arrays: Mapping[str, np.ndarray]) -> None:  # noqa: ARG002
        """Adds the values of a sample."""
        for name, array in arrays.items():
            if name not in self.refused and array.size:
                self._add(name, where, array)

    def _add(self, name: str, where: str, array: np.ndarray) -> None:
        depth = array.shape[-1] if array.ndim else 0
        gram = self._grams.get(name)
        if gram is None and depth:
            gram = self._grams[name] = Gram(depth)
        if gram is None or gram.depth != depth:
            self.refused[name] = f"{where}: has the shape {list(array.shape)}"
            return
        gram.add(array.reshape(-1, depth))

    def behind(self, names: Iterable[str]) -> int:  # noqa: ARG002
        """0: nothing is gone on with."""
        return 0

    def save_in_time(self) -> None:
        """Does nothing: what is lost is gathered again."""

    def save(self, folder: Path) -> dict[str, str]:
        """Writes each matrix to a file of numpy's.

        Returns:
            The files' names, by the values'.
        """
        files: dict[str, str] = {}
        for name, gram in self._grams.items():
            if name not in self.refused:
                files[name] = f"gram-{len(files)}.npy"
                np.save(folder / files[name], gram.total())
        return files
