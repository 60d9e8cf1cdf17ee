"""Which axis of a stored array counts samples, and how many there are.

The first axis counts samples. An array of one more rank than its input holds whole samples. One of the
input's own rank is cut along its first axis: into pieces of the size that the model fixes there (mostly 1),
of 1 where it takes any, and every piece keeps the axis. So ``[8, 3, 224, 224]`` is 8 samples for an input
``[1, 3, 224, 224]`` or ``[N, 3, 224, 224]``; a state ``[2, 1, 128]`` for an input of that very shape is one.
What holds one sample beside arrays of several goes to each of them, as scalars do (a sample rate).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onnxopt.errors import UsageError
from onnxopt.runtime.facts import InputSpec


@dataclass(frozen=True)
class Cut:
    """How an array is cut.

    Attributes:
        count: how many samples it holds; None for one that goes to each.
        rows: how many entries of the first axis make a sample.
        keep: whether a sample keeps the axis.
    """

    count: int | None
    rows: int = 1
    keep: bool = True


WHOLE = Cut(None)


def cut_of(shape: tuple[int, ...], spec: InputSpec | None) -> Cut:
    """Tell how to cut an array.

    Args:
        shape: the array's shape.
        spec: the input it is for; None if the model has none of that name, which is reported later.
    """
    if not shape or spec is None:
        return WHOLE
    if spec.shape is None:
        return Cut(shape[0])
    if len(shape) == len(spec.shape) + 1:
        return Cut(shape[0], keep=False)
    if len(shape) != len(spec.shape):
        return WHOLE
    first = spec.shape[0]
    rows = first if isinstance(first, int) else 1
    if rows < 1 or shape[0] % rows:
        return WHOLE
    count = shape[0] // rows
    return Cut(count, rows) if count != 1 else WHOLE


def agreed(source: str, cuts: Mapping[str, Cut]) -> int:
    """How many samples arrays hold together; 1 where all of them make one.

    Raises:
        UsageError: they disagree.
    """
    counts = {name: cut.count for name, cut in cuts.items() if cut.count is not None}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name}: {count}" for name, count in counts.items())
        raise UsageError(
            f"{source}: the inputs hold different numbers of samples ({told}): the first axis counts"
            " samples, make it equally long"
        )
    return next(iter(counts.values()), 1)
