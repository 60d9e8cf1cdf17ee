"""Ratios are against the best peer that succeeded; failures stay in the table."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench_lib.cases import Case
from bench_lib.compiling import bench_case
from bench_lib.contenders import CONTENDERS, Contender, chosen
from bench_lib.results import CaseResult, Report, Row
from bench_lib.tables import markdown, summary


def row(tool: str, role: str, seconds: float, peak: float, **more: object) -> Row:
    base = {"seconds": [9 * seconds, seconds, 0.5 * seconds], "peaks_mb": [peak], "parity": "same"}
    return Row(tool, role, **{**base, **more})  # type: ignore[arg-type]


@pytest.fixture
def report() -> Report:
    case = CaseResult("bert dynamo", 100, 0, 400_000_000)
    case.rows = [
        row("onnxopt", "ours", 1.0, 100.0, nodes=70, error=1e-6),
        row("onnxsim", "simplifier", 8.0, 2000.0, nodes=80),
        row("onnxslim", "simplifier", 4.0, 1000.0, nodes=60, error=2e-7),
        Row("onnxoptimizer", "simplifier", status="failed", reason="killed by SIGSEGV"),
        row("onnxruntime extended", "peer", 2.0, 1200.0, nodes=20, contrib=9),
        Row("onnxscript", "peer", status="not installed"),
        row("cp", "floor", 0.4, 40.0, nodes=100),
    ]
    return Report({"machine": "a machine", "python": "3.11", "date": "2026-01-01"}, [case])


def test_markdown_has_every_row(report: Report) -> None:
    lines = markdown(report).splitlines()
    assert "| bert dynamo (400 MB, 100 nodes) | **onnxopt** | 1.00 | 100 | 70 | 0 |" in lines[2]
    assert "failed: killed by SIGSEGV" in lines[5]
    assert "not installed" in lines[7]
    assert lines[8].startswith("|  | cp | 0.40 | – | 100 |")


def test_summary_gives_worst_ratios_and_who_leaves_fewer_nodes(report: Report) -> None:
    lines = list(summary(report))
    assert "  time ÷ fastest simplifier: 0.25 (bert dynamo)" in lines
    assert "  peak memory ÷ smallest simplifier: 0.10 (bert dynamo)" in lines
    assert "  time ÷ onnxruntime's offline save: 0.50 (bert dynamo)" in lines
    assert "  peak memory ÷ model size: 0.25 (bert dynamo)" in lines
    assert lines[-1] == "bert dynamo: onnxslim leaves 60 nodes, onnxopt 70"


def test_report_survives_json(report: Report, tmp_path: Path) -> None:
    report.save(tmp_path / "r.json")
    assert Report.load(tmp_path / "r.json") == report


def test_tools_are_chosen_by_name() -> None:
    assert chosen(None) == list(CONTENDERS)
    assert [c.name for c in chosen("cp,onnxopt+validated,onnxruntime-basic")] == [
        "cp",
        "onnxopt, validated",
        "onnxruntime basic",
    ]
    with pytest.raises(ValueError, match="no tool 'mlir'"):
        chosen("mlir")


def test_failing_and_missing_tools_are_rows(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    broken = Contender("no such peer", "peer", "onnx")
    absent = Contender("absent", "peer", "surely-not-a-distribution")
    floor = Contender("cp", "floor", "")
    case = Case("resnet", "tiny", "torchscript")
    tools = [broken, absent, floor]
    found = bench_case(case, tools, runs=2, limit=60, work=tmp_path, progress=lambda _: None)
    first, second, third = found.rows
    assert (first.status, first.reason) == ("failed", "KeyError: 'no such peer'")
    assert second.status == "not installed"
    assert (third.status, third.parity, len(third.seconds)) == ("ok", "same", 2)
    assert third.nodes == found.nodes > 0
