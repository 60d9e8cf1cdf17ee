"""Finding the single rewrite after which a model no longer computes the same."""

from __future__ import annotations

from collections.abc import Callable


def first_bad(total: int, good: Callable[[int], bool]) -> int | None:
    """Finds the smallest count of rewrites that gives a bad result, by halving.

    Args:
        total: How many rewrites a full run makes.
        good: Tells whether the model after so many rewrites is good.

    Returns:
        The number (from 1) of the guilty rewrite; None where the full run is good, 0 where even no
        rewrite at all is bad, so that none of them is to blame.
    """
    if good(total):
        return None
    if total == 0 or not good(0):
        return 0
    low, high = 0, total
    while high - low > 1:
        middle = (low + high) // 2
        if good(middle):
            low = middle
        else:
            high = middle
    return high
