"""A model from its file to figures, each tool in a process of its own; what fails is a row or a line with its reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bench_lib.latency.results import Setting
from bench_lib.latency.rounds import Plan
from bench_lib.quantize.calibrate import high_water
from bench_lib.quantize.command import quantize_command
from bench_lib.quantize.command_calibration import calibration_command
from bench_lib.quantize.growth import bench_growth
from bench_lib.quantize.measuring import Amount, bench_case
from bench_lib.quantize.quantisers import FLOAT, Quantiser, chosen
from bench_lib.quantize.score import in_float
from bench_lib.quantize.subjects import SHARED, Subject, parse
from click.testing import CliRunner

import models

ONE, FEW, QUICK = Setting(1, 1), Amount(4, 6), Plan(rounds=2, repeat=3, limit=120)
DIGITS = Path(models.__file__).with_name("digits_cnn.onnx")


def silent(_: str) -> None:
    """No progress."""


def test_wrong_options_are_usage_errors() -> None:
    for command, arguments, text in (
        (quantize_command, ["--models", "vgg"], "no reference model 'vgg'"),
        (quantize_command, ["--tools", "tvm"], "no tool 'tvm'"),
        (quantize_command, ["--samples", "0"], "at least 1"),
        (calibration_command, ["--samples", "0,8"], "at least 1"),
        (calibration_command, ["--methods", "median"], "no method 'median'"),
    ):
        result = CliRunner().invoke(command, arguments)
        assert result.exit_code == 2
        assert text in result.output


def test_a_model_that_is_not_there_is_a_case_without_rows(tmp_path: Path) -> None:
    gone = Subject("silero_vad", file=SHARED / "silero_vad.onnx", module="no_such_module")
    (real,) = parse("silero_vad", "tiny", "torchscript")
    assert (real.module, real.state) == ("speech", (("stateN", "state"),))
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        gone.has("evaluate")
    missing = Subject("no such subject", module="digits")
    found = bench_case(missing, [FLOAT], FEW, ONE, QUICK, work=tmp_path, progress=silent)
    assert "no such subject" in found.failure
    assert not found.rows


def test_digits_from_file_to_figures(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    (subject,) = parse("digits", "tiny", "torchscript")
    tools = [q for q in chosen("ort-u8s8-minmax,ort-dynamic-tensor") if q.role != "float"]
    found = bench_case(subject, tools, FEW, ONE, QUICK, work=tmp_path, progress=silent)
    original, quantised = found.rows  # no row for what is worth it for matrix products only
    assert found.samples == (4, 6)
    assert not original.quality
    assert original.measures["accuracy"] == pytest.approx(0.9847, abs=1e-4)
    assert quantised.status == "ok", quantised.reason
    assert quantised.best
    assert quantised.quality["snr_db"] is not None
    assert 10 < quantised.quality["snr_db"] < 60
    assert quantised.measures["points"] > -3
    assert "Conv" in original.float_ops
    assert "Conv" not in quantised.float_ops
    assert quantised.float_matrix < original.float_matrix
    assert all(len(r.timings[0].rounds) == 2 for r in found.rows)
    assert quantised.peak_mb > 0 < quantised.seconds


def test_a_quantiser_that_fails_is_a_row_with_its_reason(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    (subject,) = parse("digits", "tiny", "torchscript")
    tools = [Quantiser("original", "original"), Quantiser("ours", "ours")]
    few = Plan(rounds=1, repeat=1, limit=0.2)
    found = bench_case(subject, tools, FEW, ONE, few, work=tmp_path, progress=silent)
    assert (found.rows[1].status, found.rows[1].reason) == ("failed", "not done after 0 s")


def test_commands_name_the_samples_and_the_state() -> None:
    (vad,) = parse("silero_vad", "tiny", "torchscript")
    (face,) = parse("ultraface", "tiny", "torchscript")
    ours = Quantiser("onnxopt quantize", "ours")
    files = Path("in.onnx"), Path("out.onnx"), Path("samples")
    assert ours.command(vad, *files)[-6:-2] == [
        *("--calibrate", "bench_lib.quantize.speech:calibration", "--state", "stateN=state"),
    ]
    assert ours.command(face, *files)[-4:-2] == ["--calibrate", "samples"]
    assert "--freeze-inputs" in FLOAT.command(face, *files)


def test_operators_left_in_float_are_counted_in_the_runtime_s_graph() -> None:
    ops, matrix = in_float(DIGITS)
    assert ops["Conv"] == 5
    assert matrix == 6  # the last one is a Gemm
    assert sum(ops.values()) >= matrix


def test_calibration_grows_by_sample(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    (subject,) = parse("digits", "tiny", "torchscript")
    ways = [("plain", "inference"), ("onnxopt", "minmax"), ("onnxruntime", "MinMax")]
    ways += [("onnxopt", "no such method")]
    found = bench_growth(subject, [2, 4], limit=120, work=tmp_path, progress=silent, ways=ways)
    assert not found.failure
    for row in found.rows[:3]:
        assert row.counts == [2, 4], row.failure
        assert min(row.peaks_mb) > 10
        assert min(row.seconds) > 0
    assert "no such method" in found.rows[3].failure
    assert not found.rows[3].counts


def test_high_water_is_that_of_the_process() -> None:
    before = high_water()
    block = np.ones(20_000_000)
    assert high_water() > before + 50 or before > 200
    assert block.nbytes == 160_000_000
    assert high_water(2**22 + 1) == 0.0
