"""What a latency run found, as data that goes to JSON and back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

from bench_lib.results import Entry

KIND = "latency"  # tells the file from that of ``bench.py compile``
Measure = Literal["median_ms", "minimum_ms", "cpu_ms", "load_ms", "load_cpu_ms", "outside_ms"]


@dataclass(frozen=True)
class Setting:
    """How a model is run.

    Attributes:
        batch: Size of the dim ``batch``.
        threads: Threads within an operator; 0 for onnxruntime's own choice.
    """

    batch: int
    threads: int

    @property
    def label(self) -> str:
        """Short text for tables."""
        threads = {0: "default threads", 1: "1 thread"}.get(self.threads, f"{self.threads} threads")
        return f"batch {self.batch}, {threads}"


@dataclass(frozen=True)
class Round:
    """What one process measured.

    Attributes:
        median_ms: Median latency over its runs.
        minimum_ms: The fastest of them.
        cpu_ms: Time that the process was on a core, by run; 0 where it is not the host that computes.
        load_ms: Time to make the session.
        load_cpu_ms: Time on a core for that.
    """

    median_ms: float
    minimum_ms: float
    cpu_ms: float
    load_ms: float
    load_cpu_ms: float


@dataclass
class Timing:
    """One contender in one setting.

    Attributes:
        setting: Batch and threads.
        repeat: Runs in each process.
        rounds: One process each.
        profiles: One profiled process each: milliseconds in a run by kind of kernel, and ``outside``
            the matrix kind.
        failure: Why it was not measured to the end.
        unprofiled: Why the profiles are missing.
    """

    setting: Setting
    repeat: int = 0
    rounds: list[Round] = field(default_factory=list)
    profiles: list[dict[str, float]] = field(default_factory=list)
    failure: str = ""
    unprofiled: str = ""

    @property
    def ok(self) -> bool:
        """Whether there are figures."""
        return bool(self.rounds) and not self.failure

    def series(self, measure: Measure) -> list[float]:
        """The figure of each round; of time on cores, with one thread only: others spin on them."""
        if measure == "outside_ms":
            return [profile["outside"] for profile in self.profiles]
        if measure in ("cpu_ms", "load_cpu_ms") and self.setting.threads != 1:
            return []
        return [getattr(found, measure) for found in self.rounds]

    def figure(self, measure: Measure) -> float | None:
        """The figure over all rounds: the smallest minimum, the median of all else."""
        series = self.series(measure)
        if not series:
            return None
        return min(series) if measure == "minimum_ms" else median(series)

    def share(self, kind: str) -> float | None:
        """The part of the kernels' time that a kind takes."""
        totals = [sum(p.values()) - p["outside"] for p in self.profiles]
        shares = [p[kind] / t for p, t in zip(self.profiles, totals, strict=True) if t > 0]
        return median(shares) if shares else None


@dataclass
class LatencyRow(Entry):
    """One tool on one model, its output timed in each setting."""

    timings: list[Timing] = field(default_factory=list)

    def timing(self, setting: Setting) -> Timing | None:
        """What was measured in ``setting``, if the output was run there to the end."""
        return next((t for t in self.timings if t.setting == setting and t.ok), None)

    def why_not(self, setting: Setting) -> str:
        """Why there is no timing in ``setting``; empty when there is one."""
        if self.status != "ok":
            return f"{self.status}: {self.reason}" if self.reason else self.status
        failures = [t.failure for t in self.timings if t.setting == setting]
        return "" if self.timing(setting) else "; ".join(failures) or "not measured"


@dataclass
class LatencyCase:
    """All tools on one model.

    Attributes:
        label: Which model.
        nodes: Nodes of the original.
        bytes: Its size.
        failure: Why there are no rows, if the model itself could not be had or run.
        rows: One for each tool.
        busy: The machine's highest load average meanwhile: processes that compute or wait to.
    """

    label: str
    nodes: int = 0
    bytes: int = 0
    failure: str = ""
    rows: list[LatencyRow] = field(default_factory=list)
    busy: float = 0.0

    @property
    def original(self) -> LatencyRow | None:
        """The row that the others are compared with."""
        return next((r for r in self.rows if r.role == "original"), None)


@dataclass
class LatencyReport:
    """A run of ``bench.py latency``."""

    about: dict[str, Any]
    settings: list[Setting]
    cases: list[LatencyCase] = field(default_factory=list)
    kind: str = KIND

    def save(self, path: Path) -> None:
        """Write the report as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> LatencyReport:
        """Read a report that :meth:`save` wrote."""
        raw = json.loads(path.read_text())
        settings = [Setting(**s) for s in raw["settings"]]
        return cls(raw["about"], settings, [_case(c) for c in raw["cases"]])


def _case(raw: dict[str, Any]) -> LatencyCase:
    rows = [LatencyRow(**r | {"timings": timings_of(r)}) for r in raw["rows"]]
    return LatencyCase(**raw | {"rows": rows})


def timings_of(row: dict[str, Any]) -> list[Timing]:
    """The timings of a row that was read from JSON."""
    return [_timing(raw) for raw in row["timings"]]


def _timing(raw: dict[str, Any]) -> Timing:
    rounds = [Round(**r) for r in raw["rounds"]]
    return Timing(**raw | {"setting": Setting(**raw["setting"]), "rounds": rounds})
