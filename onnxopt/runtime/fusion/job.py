"""What a child is asked to load, and where it leaves the runtime's graph."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from onnxopt.runtime.job import JOB

SAVED = "saved.onnx"
"""The runtime's graph, in the job folder."""
WEIGHTS = "saved.bin"
"""Its weights, beside it: a graph with large weights inside could not be saved."""


@dataclass
class FusionJob:
    """A model to load.

    Attributes:
        model: its path.
        provider: full provider name.
        custom_op_libraries: paths of shared libraries.
    """

    model: str
    provider: str
    custom_op_libraries: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write ``job.json``."""
        (folder / JOB).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @staticmethod
    def read(folder: Path) -> FusionJob:
        """Read ``job.json``."""
        return FusionJob(**json.loads((folder / JOB).read_text(encoding="utf-8")))
