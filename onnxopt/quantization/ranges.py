"""From a tensor's statistics to the range that its integers cover.

The range always holds 0, which must be stored exactly (`affine.from_range`), and lies within what was
seen: values beyond are clipped. A method that would leave nothing of it (a rare spike on zeros, a
constant) is overruled by the smallest and largest value.
"""

from __future__ import annotations

from .bins import Bins
from .entropy import entropy_range
from .methods import Method, parse_method
from .mse import mse_range
from .observers import TensorStatistics
from .percentile import percentile_range
from .types import QType


def choose_range(
    statistics: TensorStatistics, method: Method | str, qtype: QType, symmetric: bool
) -> tuple[float, float]:
    """Chooses the range of a tensor; once for the same statistics.

    ``hmse`` is ``mse`` here: what sets it apart is how it weights errors of weights.

    Args:
        statistics: What was seen of the tensor.
        method: Such as ``minmax``, or as ``parse_method`` gives it.
        qtype: The integer type.
        symmetric: Whether 0 is the middle of the range.

    Returns:
        The lowest and highest value, low <= 0 <= high; low = -high if symmetric. Both are 0 only if
        all values are.

    Raises:
        UsageError: There is no such method.
        ValueError: Nothing was seen of the tensor, or not what the method needs.
    """
    method = parse_method(method) if isinstance(method, str) else method
    if not statistics.count:
        raise ValueError("has no value in any sample")
    asked = method, qtype, symmetric
    found = statistics.ranges.get(asked)
    if found is None:
        found = statistics.ranges[asked] = _search(statistics, method, qtype, symmetric)
    return found


def _search(
    statistics: TensorStatistics, method: Method, qtype: QType, symmetric: bool
) -> tuple[float, float]:
    whole = _holding_zero(statistics.low, statistics.high, symmetric)
    if method.name == "minmax" or whole == (0.0, 0.0):
        return whole
    chosen = _holding_zero(*_chosen(statistics, method, qtype, symmetric), symmetric)
    within = max(chosen[0], whole[0]), min(chosen[1], whole[1])
    return whole if within == (0.0, 0.0) else within


def _chosen(
    statistics: TensorStatistics, method: Method, qtype: QType, symmetric: bool
) -> tuple[float, float]:
    if method.name == "moving-average":
        return statistics.mean_range
    bins = _bins(statistics, method)
    if method.name == "percentile":
        return percentile_range(bins, method.percent or 100.0, symmetric)
    if method.name == "entropy":
        return entropy_range(bins, qtype, symmetric)
    return mse_range(bins, qtype, symmetric)


def _bins(statistics: TensorStatistics, method: Method) -> Bins:
    if statistics.histogram is None:
        raise ValueError(f"has no histogram, which the method {method} needs")
    return statistics.histogram.bins


def _holding_zero(low: float, high: float, symmetric: bool) -> tuple[float, float]:
    low, high = min(low, 0.0), max(high, 0.0)
    if symmetric:
        high = max(-low, high)
        low = 0.0 - high
    return low, high
