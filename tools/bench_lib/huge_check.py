"""Child process: do two huge models compute the same? Their sessions follow each other.

Weights are not packed a second time for the kernels, so that memory stays near the model's size.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from bench_lib.huge_model import WIDTH
from bench_lib.parity import RTOL, relative_error
from models.spec import Array

ROWS = 2


def outputs_of(model: Path, *, optimise: bool) -> Array:
    """What the model at ``model`` computes from one signed sample."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.disable_prepacking", "1")
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    sample = np.random.default_rng(5).standard_normal((ROWS, WIDTH)).astype(np.float32)
    (result,) = session.run(None, {"x": sample})
    found: Array = result
    return found


def main() -> None:
    """Entry point."""
    expected = outputs_of(Path(sys.argv[1]), optimise=False)
    error = relative_error(outputs_of(Path(sys.argv[2]), optimise=True), expected)
    Path(sys.argv[3]).write_text(json.dumps({"ok": error <= RTOL, "error": error}))


if __name__ == "__main__":
    main()
