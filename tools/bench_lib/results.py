"""What a benchmark run found, as data that goes to JSON and back."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any


@dataclass
class Entry:
    """What one tool made of one model.

    Attributes:
        tool: Name of the contender.
        role: Its role, see :class:`bench_lib.contenders.Contender`.
        version: Its installed version.
        status: ``ok``, ``failed`` or ``not installed``.
        reason: Why it failed.
        nodes: Nodes left.
        contrib: Of these, nodes outside the standard domain.
        bytes: Size of the output.
        parity: ``same``, ``differs``, ``does not run``, or empty when there is no output.
        error: Largest relative error against the original.
        detail: What differs, or why it does not run.
    """

    tool: str
    role: str
    version: str = ""
    status: str = "ok"
    reason: str = ""
    nodes: int = 0
    contrib: int = 0
    bytes: int = 0
    parity: str = ""
    error: float = 0.0
    detail: str = ""


@dataclass
class Row(Entry):
    """One tool on one model, timed.

    Attributes:
        seconds: Wall time of each run.
        peaks_mb: Peak resident set of each run, in MB.
    """

    seconds: list[float] = field(default_factory=list)
    peaks_mb: list[float] = field(default_factory=list)

    @property
    def wall(self) -> float:
        """Median wall time in seconds."""
        return median(self.seconds)

    @property
    def peak_mb(self) -> float:
        """Median peak resident set in MB."""
        return median(self.peaks_mb)


@dataclass
class CaseResult:
    """All tools on one model; ``nodes``, ``contrib`` and ``bytes`` are the original's."""

    label: str
    nodes: int
    contrib: int
    bytes: int
    rows: list[Row] = field(default_factory=list)

    def row(self, tool: str) -> Row | None:
        """The row of ``tool``, if it ran to the end."""
        return next((r for r in self.rows if r.tool == tool and r.status == "ok"), None)

    def best_of(self, role: str, key: str) -> float | None:
        """The smallest ``key`` (a property of :class:`Row`) among the tools with ``role``."""
        found = [float(getattr(r, key)) for r in self.rows if r.role == role and r.status == "ok"]
        return min(found, default=None)


@dataclass
class Report:
    """A run of ``bench.py compile``."""

    about: dict[str, Any]
    cases: list[CaseResult] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write the report as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Report:
        """Read a report that :meth:`save` wrote."""
        raw = json.loads(path.read_text())
        cases = [
            CaseResult(**{**case, "rows": [Row(**row) for row in case["rows"]]})
            for case in raw["cases"]
        ]
        return cls(raw["about"], cases)


def kind_of(path: Path) -> str:
    """Which command's JSON file lies at ``path``; ``compile`` for one that does not say."""
    return str(json.loads(path.read_text()).get("kind", "compile"))


def about(command: Sequence[str]) -> dict[str, Any]:
    """Where and how a benchmark ran, to be kept with its figures."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "command": " ".join(command),
        "python": platform.python_version(),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {_memory_gb():.0f} GB",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
