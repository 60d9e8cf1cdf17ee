"""An order for a child process, as ``job.json`` in its folder."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

JOB = "job.json"


class Order:
    """What dataclasses of JSON-ready fields inherit to travel."""

    def write(self: DataclassInstance, folder: Path) -> None:
        """Write ``job.json``."""
        (folder / JOB).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read ``job.json``."""
        fields: dict[str, Any] = json.loads((folder / JOB).read_text(encoding="utf-8"))
        return cls(**fields)
