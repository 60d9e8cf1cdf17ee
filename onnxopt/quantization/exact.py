"""Exact sums of floats, one a channel: the order of adding does not matter, to the last bit.

A float64 is an integer of 53 bits times a power of two. Sums are kept as such integers of any length,
in digits of 32 bits held by int64 (the form Kulisch's accumulator has), so that an addition is a few
operations on arrays. Only the digits that were used are kept: a handful, since the channels of a tensor
are of like magnitude.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .packing import pack, unpack

Array = np.ndarray[Any, Any]
_DIGIT = 32
_MASK = (1 << _DIGIT) - 1
_MANTISSA = 53
# Values are multiples of 2**-298, the square of float32's least; an integer of 53 bits may end below.
_UNIT = 352


class ExactSum:
    """Sums of float64, each a multiple of 2**-298 and below 2**600 in magnitude.

    Up to 2**29 additions are possible between merges.

    Args:
        channels: How many sums.
    """

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self._base = 0  # the place of the first digit that is kept
        self._digits: Array = np.zeros((0, channels), np.int64)

    def add(self, values: Array) -> None:
        """Adds one value to each sum: float64 [channels], finite."""
        fraction, power = np.frexp(np.asarray(values, np.float64))
        used = fraction != 0
        if not used.any():
            return
        whole = np.ldexp(fraction, _MANTISSA).astype(np.int64)
        position = power.astype(np.int64) - _MANTISSA + _UNIT
        place, shift = np.divmod(np.where(used, position, position[used].min()), _DIGIT)
        low, high = (whole & _MASK) << shift, (whole >> _DIGIT) << shift
        self._hold(int(place.min()), int(place.max()) + 3)
        row, column = place - self._base, np.arange(self.channels)
        self._digits[row, column] += low & _MASK
        self._digits[row + 1, column] += (low >> _DIGIT) + (high & _MASK)
        self._digits[row + 2, column] += high >> _DIGIT

    def merge(self, other: ExactSum) -> None:
        """Adds the sums of others, as many."""
        base, digits = other._canonical()
        self._base, self._digits = self._canonical()
        if digits.size:
            self._hold(base, base + len(digits))
            self._digits[base - self._base :][: len(digits)] += digits

    @property
    def values(self) -> Array:
        """float64 [channels]: the sums, correctly rounded."""
        totals = np.zeros(self.channels, object)
        for place, digits in enumerate(self._digits):
            totals += digits.astype(object) << (_DIGIT * (place + self._base))
        return np.array([total / (1 << _UNIT) for total in totals], np.float64)

    def to_json(self) -> dict[str, Any]:
        """Plain data; equal sums give equal data."""
        base, digits = self._canonical()
        return {"place": base, "length": len(digits), "digits": pack(digits.reshape(-1))}

    @staticmethod
    def from_json(data: dict[str, Any], channels: int) -> ExactSum:
        """Reads what ``to_json`` gave for so many channels.

        Raises:
            ValueError: It isn't such data.
            KeyError: A part is missing.
        """
        base, length = int(data["place"]), int(data["length"])
        if not (0 <= base <= 64 and 0 <= length <= 64):
            raise ValueError("its sums are impossible")
        result = ExactSum(channels)
        result._base = base
        result._digits = unpack(data["digits"], length * channels).reshape(length, channels)
        return result

    def _hold(self, start: int, stop: int) -> None:
        """Keeps the digits from one place to before another, besides those that are kept."""
        if len(self._digits):
            start, stop = min(start, self._base), max(stop, self._base + len(self._digits))
            if (start, stop) == (self._base, self._base + len(self._digits)):
                return
        digits = np.zeros((stop - start, self.channels), np.int64)
        if len(self._digits):
            digits[self._base - start :][: len(self._digits)] = self._digits
        self._base, self._digits = start, digits

    def _canonical(self) -> tuple[int, Array]:
        """The only form of these sums: digits of 32 bits, signed in the last, none superfluous."""
        rows = [*self._digits, np.zeros(self.channels, np.int64)]
        for place in range(len(rows) - 1):
            rows[place + 1] = rows[place + 1] + (rows[place] >> _DIGIT)
            rows[place] = rows[place] & _MASK
        while len(rows) > 1 and _fits(rows[-2] + (rows[-1] << _DIGIT), rows[-1]):
            rows[-2:] = [rows[-2] + (rows[-1] << _DIGIT)]
        start = next((i for i, row in enumerate(rows) if row.any()), len(rows))
        if start == len(rows):
            return 0, np.zeros((0, self.channels), np.int64)
        return self._base + start, np.stack(rows[start:])


def _fits(joined: Array, top: Array) -> bool:
    """Whether the last two digits, joined, are a signed digit of 32 bits."""
    half = 1 << (_DIGIT - 1)
    small = ((top == 0) | (top == -1)).all()
    return bool(small and joined.min() >= -half and joined.max() < half)
