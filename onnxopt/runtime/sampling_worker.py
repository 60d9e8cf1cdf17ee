"""The child process that picks the sample to time on (``python -m onnxopt.runtime.sampling_worker``).

Sizes that a model accepts are known only once it has run, so the original runs on samples as in a validation. The
largest one it accepts is kept: a user who has a choice of sizes waits for the large ones.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from onnxopt.runtime import inside
from onnxopt.runtime.backends import Backend
from onnxopt.runtime.compare import leaves
from onnxopt.runtime.feedio import Feed, save_feed
from onnxopt.runtime.job import PROGRESS, Job
from onnxopt.runtime.phases import PhaseError, run_reference
from onnxopt.runtime.sessions import one_line
from onnxopt.runtime.source import make_source, shapes_of
from onnxopt.runtime.timing_job import FEED


def elements(feed: Feed) -> int:
    """How many elements a sample's arrays have together."""
    arrays = [value for value in leaves(feed).values() if isinstance(value, np.ndarray)]
    return sum(array.size for array in arrays)


def execute(job: Job, folder: Path) -> dict[str, Any]:
    """Run the original on samples and write the largest it accepts.

    Returns:
        The shapes of that sample, or the reason why there is none.
    """
    backend = Backend(job.backend, job.provider, job.custom_op_libraries)
    source = make_source(job, folder)
    try:
        reference = run_reference(job, backend, source, inside.Steps(folder / PROGRESS))
    except PhaseError as error:
        return {"reason": str(error)}
    feeds = (source.feed(run.sample) for run in reference.runs if not run.sample.overriding)
    largest = max(feeds, key=elements)
    (folder / FEED).mkdir()
    save_feed(largest, folder / FEED, 0)
    return {"shapes": shapes_of(largest)}


def main() -> int:
    """Run the job whose folder is the only argument; returns the exit status."""
    folder = Path(sys.argv[1])
    inside.die_with_parent(folder)
    try:
        result = execute(Job.read(folder), folder)
    except Exception as error:
        result = {"reason": one_line(error)}
    inside.write_result(folder, result)
    return inside.leave()


if __name__ == "__main__":
    sys.exit(main())
