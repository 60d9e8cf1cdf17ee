"""Child process: signed, valid inputs of a model for one batch size, into a file of arrays."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import models
from bench_lib.cases import from_argument
from models.build import lookup

SEED = 30  # other values than those of the comparison


def main() -> None:
    """Entry point: ``CASE BATCH OUT.npz``."""
    case, batch, target = from_argument(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    reference, config = lookup(case.name, case.size)
    dims = reference.dims(config)
    traced = case.exporter == "dynamo" and "batch" in reference.specialised
    only = dims.get("batch", 1) if traced or "batch" not in dims else batch
    if only != batch:
        sys.exit(f"this export takes batch {only} only")
    chosen = {"batch": batch} if "batch" in dims else {}
    inputs = models.sample_inputs(case.name, case.size, seed=SEED, dims=chosen)
    np.savez(target, **inputs)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
