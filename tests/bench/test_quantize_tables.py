"""Speeds are paired within rounds; the best setting is the most accurate of the fast ones; failures stay in sight."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench_lib.command_render import render_command
from bench_lib.latency.results import Round, Setting, Timing
from bench_lib.quantize.calibration_results import (
    CalibrationCase,
    CalibrationReport,
    CalibrationRow,
)
from bench_lib.quantize.measuring import mark_best, told
from bench_lib.quantize.plot import draw
from bench_lib.quantize.render import markdown
from bench_lib.quantize.results import QuantizeCase, QuantizeReport, QuantizeRow, faster
from click.testing import CliRunner

SETTING = Setting(1, 2)
DRIFT = (1.0, 3.0, 2.0)  # the machine's slowness in each round
ABOUT = {"machine": "m", "python": "3", "date": "d", "runtime": "a runtime", "command": "bench"}


def row(tool: str, role: str, ms: float, snr: float | None = 30.0) -> QuantizeRow:
    """A row that takes ``ms`` on a quiet machine."""
    rounds = [Round(ms * slow, ms * slow, 0.0, 1.0, 0.0) for slow in DRIFT]
    quality: dict[str, float | None] = {"snr_db": snr, "cosine": 0.99, "top1": 0.5}
    timings = [Timing(SETTING, 3, rounds)]
    scored = {} if role == "original" else quality
    return QuantizeRow(tool, role, bytes=1000, timings=timings, quality=scored, seconds=2.0)


@pytest.fixture
def report() -> QuantizeReport:
    """One model with everything that can happen."""
    failed = QuantizeRow("ort default", "default", status="failed", reason="ValueError: shapes")
    failed.seconds = 1.5
    ours = row("onnxopt quantize", "ours", 2.0, 25.0)
    ours.float_ops, ours.measures = {"Div": 2, "Sub": 1}, {"accuracy": 0.98}
    case = QuantizeCase("toy", 9, 4000, (32, 16))
    case.rows = [
        row("original", "original", 10.0),
        row("onnxopt float", "float", 8.0, None),
        failed,
        row("ort fast", "setting", 2.0, 20.0),
        row("ort near", "setting", 2.08, 22.0),
        row("ort slow", "setting", 4.0, 40.0),
        ours,
    ]
    mark_best(case)
    broken = QuantizeCase("gone", failure="no such file")
    return QuantizeReport(ABOUT, SETTING, [case, broken])


def test_nothing_is_best_where_nothing_ran() -> None:
    case = QuantizeCase("toy", rows=[row("original", "original", 1.0)])
    mark_best(case)
    assert case.best is None


def test_best_is_the_most_accurate_of_the_fast(report: QuantizeReport) -> None:
    case = report.cases[0]
    assert case.best is not None
    assert case.best.tool == "ort near"
    assert [r.tool for r in case.rows if r.best] == ["ort near"]
    assert faster(case.of_role("ours"), case.of_role("float")) == pytest.approx(4.0)
    assert faster(case.of_role("ours"), case.of_role("default")) is None


def test_markdown_tells_figures_and_failures(report: QuantizeReport) -> None:
    text = markdown(report)
    ours = next(line for line in text.splitlines() if "**onnxopt quantize**" in line)
    cells = [cell.strip() for cell in ours.strip("|").split("|")]
    assert cells[2:6] == ["4.00", "4.00", "5.00", "0.0"]
    assert cells[8:13] == ["25.0", "0.99000", "50.0", "accuracy 0.98", "3: Div 2, Sub 1"]
    assert "failed: ValueError: shapes" in text
    assert "ort near (best)" in text
    assert "gone: no such file" in text
    summary = next(line for line in text.splitlines() if line.startswith("| toy | ort near"))
    assert [c.strip() for c in summary.strip("|").split("|")][2:] == [
        *("4.00", "5.00", "–", "1.04", "3.0", "3.85", "0.25"),
    ]


def test_exact_is_said(report: QuantizeReport) -> None:
    line = next(text for text in markdown(report).splitlines() if "| onnxopt float" in text)
    assert "exact" in line


def test_reports_survive_json_and_are_rendered(report: QuantizeReport, tmp_path: Path) -> None:
    path = tmp_path / "quantize.json"
    report.save(path)
    assert QuantizeReport.load(path) == report
    result = CliRunner().invoke(render_command, [str(path)])
    assert result.output == markdown(report)


def test_picture_has_a_place_for_what_failed(report: QuantizeReport, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    draw(report, tmp_path / "quantize.png")
    assert (tmp_path / "quantize.png").stat().st_size > 0


def test_our_account_in_a_line() -> None:
    trials = [
        {"mode": "static", "back": ["a"], "layers": 7},
        {"mode": "dynamic", "back": [], "layers": 3},
    ]
    account = {"mode": "static", "trials": trials, "notes": ["not worth it"]}
    text = told({"quantisation": account, "left_out": ["quantize at main_graph"]})
    said = ("static, 1 of 7 layers left in float", "taken back: quantize at main_graph")
    assert text == "; ".join([*said, "not worth it"])


def test_calibration_is_compared_with_inference_as_a_whole_and_by_sample(tmp_path: Path) -> None:
    rows = [
        CalibrationRow("plain", "inference", [8, 32], [2.0, 4.4], [50.0, 50.0]),
        CalibrationRow("onnxopt", "minmax", [8, 32], [3.0, 6.6], [60.0, 63.0]),
        CalibrationRow("onnxruntime", "Entropy", [8], [9.0], [100.0], "killed by SIGKILL"),
    ]
    cases = [CalibrationCase("toy", rows=rows), CalibrationCase("gone", "no such file")]
    report = CalibrationReport(ABOUT, [8, 32], cases)
    report.save(tmp_path / "calibration.json")
    assert CalibrationReport.load(tmp_path / "calibration.json") == report
    text = CliRunner().invoke(render_command, [str(tmp_path / "calibration.json")]).output
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    ours = next(line for line in lines if "**minmax**" in line)
    assert ours[2:] == ["60", "63", "1.05", "3.0", "6.6", "1.50", "1.50", ""]
    theirs = next(line for line in lines if "Entropy" in line)
    assert theirs[2:] == ["100", "–", "–", "9.0", "–", "4.50", "–", "killed by SIGKILL"]
    assert "gone: no such file" in text
