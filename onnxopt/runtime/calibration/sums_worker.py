"""The child process that adds up Gram matrices (``python -m onnxopt.runtime.calibration.sums_worker``)."""

from __future__ import annotations

import sys
from pathlib import Path

from onnxopt.runtime import inside
from onnxopt.runtime.calibration.job import CalibrationJob
from onnxopt.runtime.calibration.sums import Sums
from onnxopt.runtime.calibration.worker import attempt


def main() -> int:
    """Run the job whose folder is the only argument; returns the exit status."""
    folder = Path(sys.argv[1])
    inside.die_with_parent(folder)
    job, sums = CalibrationJob.read(folder), Sums()
    result = attempt(job, folder, sums)
    if "error" not in result:
        result["files"] = sums.save(Path(job.save_to))
    result["refused"] = sums.refused
    inside.write_result(folder, result)
    return inside.leave()


if __name__ == "__main__":
    sys.exit(main())
