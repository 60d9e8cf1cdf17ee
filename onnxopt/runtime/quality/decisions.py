"""Whether probabilities lead to the same decisions.

Noise that is small beside the signal may still turn many decisions: a detector of speech is right to within 0.01 nearly always,
and what counts are the moments at which it is not. Only outputs that are clear mostly are taken for probabilities to decide by: a
picture, or a model that was never trained, has values around 0.5, whose side means nothing.
"""

from __future__ import annotations

import numpy as np

_THRESHOLD = 0.5
_UNCLEAR = (0.25, 0.75)
_LEAST_CLEAR = 0.8


class Decisions:
    """Counts decisions of a reference and of another model."""

    def __init__(self) -> None:
        self._within = True
        self._elements = self._clear = self._same = self._both = self._yes = 0

    def add(self, reference: np.ndarray, other: np.ndarray) -> None:
        """Takes values of one shape, float64."""
        self._within = self._within and bool(np.all((reference >= 0.0) & (reference <= 1.0)))
        if not self._within:
            return
        wanted, found = reference > _THRESHOLD, other > _THRESHOLD
        unclear = (reference > _UNCLEAR[0]) & (reference < _UNCLEAR[1])
        self._elements += reference.size
        self._clear += reference.size - int(unclear.sum())
        self._same += int((wanted == found).sum())
        self._both += int((wanted & found).sum())
        self._yes += int(wanted.sum()) + int(found.sum())

    def found(self) -> float | None:
        """The share of equal decisions or the F1 of those for yes, whichever is less; None where nothing is decided."""
        if not self._within or not self._elements:
            return None
        if self._clear < _LEAST_CLEAR * self._elements:
            return None
        f1 = 2.0 * self._both / self._yes if self._yes else 1.0
        return min(self._same / self._elements, f1)
