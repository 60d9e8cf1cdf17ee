"""What a child is asked to time, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from onnxopt.runtime.order import Order

FEED = "feed"
"""The folder, in that of a job which picks a sample, that holds the one picked."""


@dataclass(frozen=True)
class Lap:
    """How long a model took in one session.

    Attributes:
        median: median of its runs, in seconds.
        least: the fastest run, in seconds.
        runs: how many were timed.
    """

    median: float
    least: float
    runs: int


@dataclass
class TimingJob(Order):
    """Models to time in turn, each in a session of its own, on one sample.

    Attributes:
        models: their paths, in the order in which to run them.
        feed: folder of the sample.
        provider: full provider name.
        custom_op_libraries: paths of shared libraries.
        warm_s: seconds of runs that are not counted (two runs at least).
        run_s: seconds of runs that are.
        least_runs: how many are counted at least, unless they take many times ``run_s``.
    """

    models: list[str]
    feed: str
    provider: str
    custom_op_libraries: list[str] = field(default_factory=list)
    warm_s: float = 0.15
    run_s: float = 0.4
    least_runs: int = 5
