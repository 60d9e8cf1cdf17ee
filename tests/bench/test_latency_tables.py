"""Ratios are paired within rounds; only what computes the same can win; what failed stays in sight."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench_lib.latency.grids import latency_grid, milliseconds, share_grid
from bench_lib.latency.kernels import KINDS
from bench_lib.latency.plot import draw
from bench_lib.latency.ratios import fastest_peer, geomean, paired, speedup
from bench_lib.latency.render import markdown
from bench_lib.latency.results import (
    LatencyCase,
    LatencyReport,
    LatencyRow,
    Round,
    Setting,
    Timing,
)
from bench_lib.latency.summary import duels, standing
from bench_lib.results import Report, kind_of

ONE = Setting(1, 2)
DRIFT = (1.0, 3.0, 2.0)  # the machine's slowness in each round


def timing(factor: float, outside: float = 1.0) -> Timing:
    """A contender that takes ``factor`` times the original's 10 ms, on a machine that drifts."""
    rounds = [
        Round(10 * factor * d, 9 * factor * d, 8 * factor, 40 * factor * d, 30 * factor)
        for d in DRIFT
    ]
    kinds = dict.fromkeys(KINDS, 0.0) | {"matrix": 3.0, "norm": outside, "outside": outside}
    return Timing(ONE, 20, rounds, [kinds] * 3)


def row(
    tool: str, role: str, factor: float, parity: str = "same", outside: float = 1.0
) -> LatencyRow:
    made = LatencyRow(tool, role, "1.0", nodes=7, parity=parity, error=1e-7)
    made.timings = [timing(factor, outside)]
    return made


@pytest.fixture
def report() -> LatencyReport:
    failed = LatencyRow("onnxslim", "simplifier", status="failed", reason="killed by SIGSEGV")
    lost = LatencyRow("ours two", "ours", nodes=5, parity="same")
    lost.timings = [Timing(ONE, 20, [Round(1.0, 1.0, 1.0, 1.0, 1.0)], failure="not done after 9 s")]
    first = LatencyCase("bert dynamo", 100, 4_000_000)
    first.rows = [
        row("original", "original", 1.0),
        row("original again", "control", 1.0),
        row("onnxsim", "simplifier", 0.8),
        row("cheat", "peer", 0.1, parity="differs"),
        failed,
        row("ours one", "ours", 0.5, outside=0.25),
        lost,
    ]
    second = LatencyCase("vit dynamo", 50, 2_000_000)
    second.rows = [
        row("original", "original", 1.0),
        row("onnxsim", "simplifier", 0.5),
        row("ours one", "ours", 2.0),
        row("ours two", "ours", 1.0, parity="differs"),
    ]
    broken = LatencyCase("unet dynamo", failure="unet dynamo cannot be exported: no torch")
    about = {"machine": "a machine", "python": "3.11", "date": "2026-01-01", "runtime": "a runtime"}
    return LatencyReport(about, [ONE], [first, second, broken])


def test_ratios_are_paired_within_rounds(report: LatencyReport) -> None:
    case = report.cases[0]
    assert speedup(case, case.rows[2], ONE, "median_ms") == pytest.approx(1.25)
    late = timing(1.0)
    late.rounds = late.rounds[1:]  # other rounds are not mixed: each has its own drift
    assert paired(timing(1.0), late, "median_ms") != pytest.approx(1.0)
    assert paired(timing(1.0), Timing(ONE), "median_ms") is None
    assert paired(timing(1.0), timing(1.0, outside=0.0), "outside_ms") is None


def test_figures_over_rounds() -> None:
    found = timing(1.0)
    assert found.figure("median_ms") == 20
    assert found.figure("minimum_ms") == 9
    assert found.figure("load_ms") == 80
    assert found.share("matrix") == 0.75
    assert found.figure("cpu_ms") is None  # the other thread spins
    assert replace(found, setting=Setting(1, 1)).figure("cpu_ms") == 8
    assert Timing(ONE).figure("outside_ms") is None
    assert Timing(ONE).share("matrix") is None


def test_geomean() -> None:
    assert geomean([2.0, 0.5]) == pytest.approx(1.0)
    assert geomean([]) is None


def test_the_fastest_peer_computes_the_same(report: LatencyReport) -> None:
    best = fastest_peer(report.cases[0], ONE)
    assert best is not None
    assert best[0].tool == "onnxsim"
    assert best[1] == pytest.approx(1.25)
    assert fastest_peer(report.cases[0], Setting(8, 2)) is None


def test_standing_over_all_models(report: LatencyReport) -> None:
    control, one, two = standing(report).rows
    assert control[1:5] == ("original again", "1", "1.00", "1.00")
    assert one == (
        *(
            "",
            "ours one",
            "2",
            "1.00",
            "1.00",
            "–",
            "0.50 (vit dynamo)",
            "0.63",
            "1",
            "0.50",
            "1.00",
        ),
        "unet dynamo",
    )
    assert two[2:4] == ("0", "–")
    assert two[-1] == "bert dynamo, vit dynamo, unet dynamo"


def test_duels_model_by_model(report: LatencyReport) -> None:
    assert duels(report).rows == [
        ("batch 1, 2 threads", "bert dynamo", "onnxsim", "1.25", "1.60", "–"),
        ("", "vit dynamo", "onnxsim", "2.00", "0.25", "–"),
    ]


def test_rows_that_failed_say_why(report: LatencyReport) -> None:
    grid = latency_grid(report.cases[0], [ONE])
    lines = {line[1]: line for line in grid.rows}
    assert lines["onnxslim"][-1] == "failed: killed by SIGSEGV"
    assert lines["ours two"][2:] == (*["–"] * 11, "not done after 9 s")
    assert lines["cheat"][-1].startswith("differs")
    assert lines["ours one"][2:7] == ("10.00", "4.50", "2.00", "2.00", "–")
    assert lines["ours one"][7:12] == ("40.00", "0.50", "–", "0.250", "0.25")
    assert len(share_grid(report.cases[0], [ONE]).rows) == 5


def test_markdown(report: LatencyReport) -> None:
    report.cases[0].rows[2].timings[0].unprofiled = "no clock"
    report.cases[0].busy = 7.25
    whole, short = markdown(report), markdown(report, summary_only=True)
    assert "| batch 1, 2 threads | original | 20.00 | 9.00 | 1.00 |" in whole
    assert "|  | **ours one** | 10.00 |" in whole
    assert "**Over all models**" in short
    assert "20.00" not in short
    for text in (whole, short):
        assert "unet dynamo: unet dynamo cannot be exported: no torch" in text
        assert "not profiled: no clock" in text
        assert "load average up to 7.2" in text
        assert "a runtime; original 1.0" in text


def test_report_survives_json(report: LatencyReport, tmp_path: Path) -> None:
    report.save(tmp_path / "latency.json")
    assert LatencyReport.load(tmp_path / "latency.json") == report
    assert kind_of(tmp_path / "latency.json") == "latency"
    Report({}).save(tmp_path / "compile.json")
    assert kind_of(tmp_path / "compile.json") == "compile"


def test_picture_has_a_place_for_what_failed(report: LatencyReport, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    draw(report, tmp_path / "latency.png")
    assert (tmp_path / "latency.png").stat().st_size > 0


def test_times_have_three_digits_that_matter() -> None:
    texts = [milliseconds(value) for value in (0.0123, 1.234, 12.34, 1234.5, None)]
    assert texts == ["0.012", "1.23", "12.34", "1,234", "–"]
