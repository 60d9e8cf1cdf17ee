"""What calibration costs, by the number of samples: figures, and their table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench_lib.latency.grids import NONE, Grid, ratio

KIND = "calibration"


@dataclass
class CalibrationRow:
    """One method of one tool.

    Attributes:
        tool: ``onnxopt``, ``onnxruntime`` or ``plain``, which is inference alone.
        method: How ranges are chosen.
        counts: Numbers of samples, ascending.
        seconds: For each of them, as far as it went.
        peaks_mb: Likewise.
        failure: Why it did not go further.
    """

    tool: str
    method: str
    counts: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    peaks_mb: list[float] = field(default_factory=list)
    failure: str = ""

    @property
    def growth(self) -> float | None:
        """Memory at the last count ÷ at the first."""
        return self.peaks_mb[-1] / self.peaks_mb[0] if len(self.peaks_mb) > 1 else None

    @property
    def marginal(self) -> float | None:
        """Seconds for each further sample."""
        if len(self.counts) < 2:
            return None
        return (self.seconds[-1] - self.seconds[0]) / (self.counts[-1] - self.counts[0])

    def at(self, count: int) -> int | None:
        """The place of a number of samples."""
        return self.counts.index(count) if count in self.counts else None


@dataclass
class CalibrationCase:
    """All methods on one model.

    Attributes:
        label: Which model.
        failure: Why there are no rows.
        rows: One a method; the first is plain inference.
    """

    label: str
    failure: str = ""
    rows: list[CalibrationRow] = field(default_factory=list)


@dataclass
class CalibrationReport:
    """A run of ``bench.py calibration``."""

    about: dict[str, Any]
    counts: list[int]
    cases: list[CalibrationCase] = field(default_factory=list)
    kind: str = KIND

    def save(self, path: Path) -> None:
        """Write the report as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> CalibrationReport:
        """Read a report that :meth:`save` wrote."""
        raw = json.loads(path.read_text())
        cases = [
            CalibrationCase(**c | {"rows": [CalibrationRow(**r) for r in c["rows"]]})
            for c in raw["cases"]
        ]
        return cls(raw["about"], raw["counts"], cases)


def calibration_grids(report: CalibrationReport) -> Iterator[Grid]:
    """A table for each model: memory and time at each number of samples."""
    peaks = [f"peak MB, {count}" for count in report.counts]
    times = [f"seconds, {count}" for count in report.counts]
    last = ("÷ first", *times, "÷ plain", "marginal ÷ plain", "note")
    for case in report.cases:
        if not case.rows:
            continue
        grid = Grid(f"{case.label}: calibration", ("tool", "method", *peaks, *last))
        for row in case.rows:
            grid.add(
                row.tool,
                row.method,
                *_columns(row, row.peaks_mb, report.counts, "{:,.0f}"),
                ratio(row.growth),
                *_columns(row, row.seconds, report.counts, "{:.1f}"),
                ratio(_whole(row, case.rows[0])),
                ratio(_each(row, case.rows[0])),
                row.failure,
                ours=row.tool == "onnxopt",
            )
        yield grid


def _columns(
    row: CalibrationRow, values: list[float], counts: list[int], form: str
) -> Iterator[str]:
    for count in counts:
        place = row.at(count)
        yield NONE if place is None else form.format(values[place])


def _whole(row: CalibrationRow, plain: CalibrationRow) -> float | None:
    """Seconds ÷ those of plain inference, at the last count that both have."""
    both = [count for count in row.counts if count in plain.counts]
    if not both or row is plain:
        return None
    return row.seconds[row.counts.index(both[-1])] / plain.seconds[plain.counts.index(both[-1])]


def _each(row: CalibrationRow, plain: CalibrationRow) -> float | None:
    if row is plain or row.marginal is None or not plain.marginal:
        return None
    return row.marginal / plain.marginal
