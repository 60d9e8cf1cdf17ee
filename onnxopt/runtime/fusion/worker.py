"""The child process that has the runtime save its graph (``python -m onnxopt.runtime.fusion.worker``)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from onnxopt.runtime import inside
from onnxopt.runtime import providers as provider_names
from onnxopt.runtime.fusion.job import SAVED, WEIGHTS, FusionJob
from onnxopt.runtime.job import PROGRESS
from onnxopt.runtime.sessions import make_session, one_line


def execute(job: FusionJob, folder: Path) -> dict[str, Any]:
    """Load the model at the default level and save what the runtime makes of it.

    Returns:
        Why it does not load; '' where it does.
    """
    inside.Steps(folder / PROGRESS)("model-load", 0)
    try:
        make_session(
            job.model,
            level="default",
            providers=provider_names.chain(job.provider),
            custom_op_libraries=job.custom_op_libraries,
            save_to=(folder / SAVED, WEIGHTS),
        )
    except Exception as error:  # onnxruntime raises many unrelated classes
        return {"failure": one_line(error)}
    return {"failure": ""}


def main() -> int:
    """Run the job whose folder is the only argument; returns the exit status."""
    folder = Path(sys.argv[1])
    inside.die_with_parent(folder)
    inside.write_result(folder, execute(FusionJob.read(folder), folder))
    return inside.leave()


if __name__ == "__main__":
    sys.exit(main())
