"""What a quantisation run found, as data that goes to JSON and back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench_lib.latency.ratios import paired
from bench_lib.latency.results import LatencyRow, Setting, Timing, timings_of

KIND = "quantize"


@dataclass
class QuantizeRow(LatencyRow):
    """What one tool made of one model.

    Attributes:
        seconds: Wall time of the whole command.
        peak_mb: Peak resident set of the largest of its processes.
        note: What else there is to say.
        quality: ``snr_db`` (None: exact), ``cosine`` and ``top1`` (None: no axis to choose along), on samples apart from
            those of the calibration; empty for the original.
        measures: What the model's own measure says.
        float_ops: Operators that compute in float in the graph of onnxruntime, with their number.
        float_matrix: How many of them are products, convolutions and the like.
        best: Whether it is the best setting of onnxruntime.
    """

    seconds: float = 0.0
    peak_mb: float = 0.0
    note: str = ""
    quality: dict[str, float | None] = field(default_factory=dict)
    measures: dict[str, float] = field(default_factory=dict)
    float_ops: dict[str, int] = field(default_factory=dict)
    float_matrix: int = 0
    best: bool = False

    @property
    def snr(self) -> float:
        """The SNR in dB; infinite where the outputs are the same."""
        found = self.quality.get("snr_db")
        return float("inf") if found is None else found


@dataclass
class QuantizeCase:
    """All tools on one model.

    Attributes:
        label: Which model.
        nodes: Nodes of the original.
        bytes: Its size.
        samples: How many samples calibration read, and how many accuracy was measured on.
        failure: Why there are no rows, if the model itself could not be had or run.
        rows: One for each tool.
        busy: The machine's highest load average while latency was measured.
    """

    label: str
    nodes: int = 0
    bytes: int = 0
    samples: tuple[int, int] = (0, 0)
    failure: str = ""
    rows: list[QuantizeRow] = field(default_factory=list)
    busy: float = 0.0

    def of_role(self, role: str) -> QuantizeRow | None:
        """The first row of a role that has a result."""
        return next((r for r in self.rows if r.role == role and r.status == "ok"), None)

    @property
    def best(self) -> QuantizeRow | None:
        """onnxruntime's best setting."""
        return next((r for r in self.rows if r.best), None)


@dataclass
class QuantizeReport:
    """A run of ``bench.py quantize``, in one setting."""

    about: dict[str, Any]
    setting: Setting
    cases: list[QuantizeCase] = field(default_factory=list)
    kind: str = KIND

    def save(self, path: Path) -> None:
        """Write the report as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> QuantizeReport:
        """Read a report that :meth:`save` wrote."""
        raw = json.loads(path.read_text())
        return cls(raw["about"], Setting(**raw["setting"]), [_case(c) for c in raw["cases"]])


def faster(one: QuantizeRow | None, two: QuantizeRow | None) -> float | None:
    """How many times as fast ``one`` is as ``two``: the median over rounds of the ratio of medians."""
    first, second = _timing(one), _timing(two)
    return paired(second, first, "median_ms") if first and second else None


def _timing(row: QuantizeRow | None) -> Timing | None:
    return next((t for t in row.timings if t.ok), None) if row else None


def _case(raw: dict[str, Any]) -> QuantizeCase:
    rows = [QuantizeRow(**r | {"timings": timings_of(r)}) for r in raw["rows"]]
    return QuantizeCase(**raw | {"rows": rows, "samples": tuple(raw["samples"])})
