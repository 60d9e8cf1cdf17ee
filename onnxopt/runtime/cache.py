"""Remembering what the reference returned, for validating many candidates against it (bisection).

The key covers everything the reference's outputs depend on: its file (by size and time), the inputs, the
provider and the versions. A folder is complete once its ``reference.json`` exists.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from onnxopt.runtime.backends import Backend
from onnxopt.runtime.compare import leaves
from onnxopt.runtime.feedio import load_feed, save_feed
from onnxopt.runtime.job import FEEDS, OVERRIDES, Job
from onnxopt.runtime.phases import Reference, Run
from onnxopt.runtime.sizes import Attempt
from onnxopt.runtime.source import Sample

_META = "reference.json"
_MAX_BYTES = 1 << 30
_JUDGING = (
    "candidate",
    "rtol",
    "atol",
    "exact",
    "precision",
    "working_type",
    "lossy",
    "as_written",
    "cache",
    "timeout_s",
    "budget_s",
)


class Store:
    """One reference's place in a cache folder.

    Args:
        root: the cache folder; made when needed.
        job: what is run.
        folder: the job folder, whose sample files are part of the key.
    """

    def __init__(self, root: Path, job: Job, folder: Path) -> None:
        self._place = root / _key(job, folder)

    def load(self) -> Reference | None:
        """What was remembered; None when nothing was."""
        try:
            meta = json.loads((self._place / _META).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        runs = [self._run(index, data) for index, data in enumerate(meta.pop("runs"))]
        return Reference(**{**meta, "runs": runs, "unstable": set(meta["unstable"])})

    def save(self, reference: Reference) -> None:
        """Remember, unless the outputs are very large."""
        size = sum(_bytes(run.outputs) for run in reference.runs)
        if size > _MAX_BYTES:
            return
        shutil.rmtree(self._place, ignore_errors=True)
        self._place.mkdir(parents=True)
        for index, run in enumerate(reference.runs):
            save_feed(run.outputs, self._place, index)
        meta = {
            "runs": [_describe(run) for run in reference.runs],
            "outputs": reference.outputs,
            "inputs": reference.inputs,
            "unstable": sorted(reference.unstable),
            "refused": reference.refused,
            "cut_short": reference.cut_short,
        }
        part = self._place / f"{_META}.part"
        part.write_text(json.dumps(meta), encoding="utf-8")
        part.replace(self._place / _META)

    def _run(self, index: int, data: dict[str, Any]) -> Run:
        sample = Sample(**data["sample"])
        if sample.attempt is not None:
            sample.attempt = Attempt(**data["sample"]["attempt"])
        outputs = load_feed(self._place, index)
        return Run(sample, data["shapes"], outputs, data["seconds"])


def _describe(run: Run) -> dict[str, Any]:
    return {"sample": asdict(run.sample), "shapes": run.shapes, "seconds": run.seconds}


def _bytes(outputs: dict[str, Any]) -> int:
    arrays = [value for value in leaves(outputs).values() if isinstance(value, np.ndarray)]
    return sum(array.nbytes for array in arrays)


def _key(job: Job, folder: Path) -> str:
    about = {name: value for name, value in asdict(job).items() if name not in _JUDGING}
    stat = os.stat(job.reference)
    versions = Backend(job.backend, job.provider).versions()
    text = json.dumps([about, stat.st_size, stat.st_mtime_ns, versions], sort_keys=True)
    digest = hashlib.sha256(text.encode())
    for path in sorted([*(folder / FEEDS).iterdir(), *(folder / OVERRIDES).iterdir()]):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]
