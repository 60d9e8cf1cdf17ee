"""Timing two models against each other, round by round, each round in a child process of its own.

Both models of a round run in the same process, one session after the other, so that whatever slows the machine or
favours the process falls on both; only the ratio of a round counts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from onnxopt.runtime.child import Ended, python, run_child
from onnxopt.runtime.feedio import save_feed
from onnxopt.runtime.inputs import GeneratedFeeds
from onnxopt.runtime.job import FEEDS, OVERRIDES, Job
from onnxopt.runtime.sampling_worker import elements
from onnxopt.runtime.timing_job import FEED, Lap, TimingJob

Round = tuple[Lap, Lap]
SAMPLING = python("onnxopt.runtime.sampling_worker")
TIMING = python("onnxopt.runtime.timing_worker")

_PICKING = 6  # no further sample is tried after this part of the time limit


class CannotTime(Exception):
    """A model does not run.

    Args:
        reason: one line.
        model: which of the two, 0 or 1; None where neither is to blame.
    """

    def __init__(self, reason: str, model: int | None = None) -> None:
        super().__init__(reason)
        self.model = model


class Stopwatch:
    """Times models on one provider and one sample. A context manager: it holds a folder.

    Args:
        provider: full provider name, present here.
        custom_op_libraries: shared libraries that register custom operators.
        timeout_s: seconds that loading and running a model may take.
        warm_s: seconds of runs in a round that are not counted.
        run_s: seconds of runs that are.
    """

    def __init__(
        self,
        provider: str,
        custom_op_libraries: Sequence[str] = (),
        timeout_s: float = 600.0,
        *,
        warm_s: float = TimingJob.warm_s,
        run_s: float = TimingJob.run_s,
    ) -> None:
        self._provider = provider
        self._libraries = list(custom_op_libraries)
        self._timeout = timeout_s
        self._warm, self._run = warm_s, run_s
        self._folder = tempfile.TemporaryDirectory(prefix="onnxopt-")
        self._place = Path(self._folder.name)

    def __enter__(self) -> Stopwatch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    def pick_sample(
        self,
        original: Path,
        feeds: Sequence[Mapping[str, Any]],
        on_progress: Callable[[str, int], None] | None = None,
    ) -> dict[str, Any]:
        """Choose what to time on: the largest sample, of generated ones the largest that runs.

        Args:
            original: the original's file.
            feeds: samples; generated ones as `inputs.generate` gives them.
            on_progress: called with stage and sample number.

        Returns:
            The sample's shapes, by input.

        Raises:
            CannotTime: the original runs on none.
        """
        job = Job(str(original), str(original), self._provider)
        job.custom_op_libraries, job.timeout_s = self._libraries, self._timeout
        job.budget_s = min(job.budget_s, self._timeout / _PICKING)
        given: list[Mapping[str, Any]] = []
        if isinstance(feeds, GeneratedFeeds):
            job.specs = [spec.to_json() for spec in feeds.specs]
            job.samples, job.seed = feeds.samples, feeds.seed
        else:
            given = [max(feeds, key=lambda feed: elements(dict(feed)))]
        job.feed_count = len(given)
        for name in (FEEDS, OVERRIDES):
            (self._place / name).mkdir()
        for index, feed in enumerate(given):
            save_feed(feed, self._place / FEEDS, index)
        job.write(self._place)
        ended = run_child(self._place, self._timeout, on_progress, SAMPLING)
        result = ended.result or {}
        if ended.trouble or "shapes" not in result:
            raise CannotTime(result.get("reason") or f"the original: {ended.trouble}")
        shapes: dict[str, Any] = result["shapes"]
        return shapes

    def take_sample(self, feed: Mapping[str, Any]) -> None:
        """Take a sample to time on as it is, where there is none to choose; whether models run on it shows in a round."""
        (self._place / FEED).mkdir()
        save_feed(feed, self._place / FEED, 0)

    def round(self, first: Path, second: Path) -> Round:
        """Time two models, in this order.

        Raises:
            CannotTime: one of them does not load or run, or neither could be started.
        """
        job = TimingJob(
            [str(first), str(second)],
            str(self._place / FEED),
            self._provider,
            self._libraries,
            self._warm,
            self._run,
        )
        with tempfile.TemporaryDirectory(dir=self._place) as name:
            job.write(Path(name))
            return _laps(run_child(Path(name), self._timeout, worker=TIMING))


def _laps(ended: Ended) -> Round:
    result = ended.result or {}
    if "laps" in result:
        first, second = (Lap(**lap) for lap in result["laps"])
        return first, second
    if "failed" in result:
        raise CannotTime(result["reason"], result["failed"])
    who = {"model0": 0, "model1": 1}.get(ended.stage.partition("-")[0])
    if ended.timed_out:  # it may be slow rather than hang
        who = None
    raise CannotTime(ended.trouble, who)
