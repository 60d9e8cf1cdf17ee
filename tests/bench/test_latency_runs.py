"""What fails, crashes or does not fit is a row or a line with its reason, and the rest is measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnxruntime
import pytest
from bench_lib.cases import Case
from bench_lib.contenders import Contender
from bench_lib.latency.command import latency_command
from bench_lib.latency.contend import contenders, told
from bench_lib.latency.families import description, family
from bench_lib.latency.measuring import bench_case
from bench_lib.latency.results import LatencyRow, Setting
from bench_lib.latency.rounds import Plan, measure
from click.testing import CliRunner

ONE = Setting(1, 1)
QUICK = Plan(rounds=2, repeat=3, limit=60)


def silent(_: str) -> None:
    """No progress."""


def test_a_model_from_export_to_figures(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    named = {c.name: c for c in contenders("cpu")}
    broken = Contender("no such peer", "peer", "onnx")
    tools = [named["original"], named["onnxruntime extended"], broken]
    case = Case("resnet", "tiny", "torchscript")
    found = bench_case(case, tools, [ONE], QUICK, work=tmp_path, progress=silent)
    original, peer, failed = found.rows
    for row in (original, peer):
        (timing,) = row.timings
        assert timing.ok, timing.failure
        assert (len(timing.rounds), len(timing.profiles), timing.repeat) == (2, 2, 3)
        assert all(r.median_ms >= r.minimum_ms > 0 for r in timing.rounds)
        assert all(min(r.cpu_ms, r.load_ms, r.load_cpu_ms) > 0 for r in timing.rounds)
        assert 0 < (timing.share("matrix") or 0) < 1
        assert row.parity == "same"
    assert peer.nodes < original.nodes == found.nodes
    assert (failed.status, failed.reason) == ("failed", "KeyError: 'no such peer'")
    assert not failed.timings


def test_a_model_that_does_not_load_is_a_row_and_the_reason(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    text = tmp_path / "broken.onnx"
    text.write_text("no model")
    row = LatencyRow("broken", "peer")
    case = Case("resnet", "tiny", "torchscript")
    measure(case, [(row, text)], ONE, replace(QUICK, repeat=0), work=tmp_path, progress=silent)
    (timing,) = row.timings
    assert not timing.ok
    assert "INVALID_PROTOBUF" in timing.failure
    assert row.timing(ONE) is None
    assert "INVALID_PROTOBUF" in row.why_not(ONE)


def test_inputs_that_cannot_be_drawn_are_said(tmp_path: Path) -> None:
    row = LatencyRow("original", "original")
    unknown = Case("no such model", "tiny", "dynamo")
    measure(unknown, [(row, tmp_path)], ONE, QUICK, work=tmp_path, progress=silent)
    assert "no reference model 'no such model'" in row.why_not(ONE)


def test_a_model_that_cannot_be_exported_is_a_case_without_rows(tmp_path: Path) -> None:
    case = Case("no such model", "tiny", "dynamo")
    found = bench_case(case, contenders("cpu"), [ONE], QUICK, work=tmp_path, progress=silent)
    assert "cannot be exported" in found.failure
    assert not found.rows


def test_architectures_and_their_types() -> None:
    assert description(Case("bert", "small", "dynamo")) == ("bert", 4, 256)
    assert description(Case("swin", "small", "dynamo")) == ("swin", 0, 0)
    assert description(Case("resnet", "small", "dynamo"))[0] == ""
    names = (
        "hf-bert",
        "hf-xlm-roberta",
        "hf-gpt2",
        "hf-bert-eager",
        "hf-qwen3",
        "unet",
        "mobilenet_v2",
    )
    types = ["bert", "bert", "gpt2", "bert", "qwen3", "", ""]
    assert [family(name) for name in names] == types


def test_what_writes_for_one_runtime_is_told_which() -> None:
    case = Case("gpt", "tiny", "dynamo")
    commands = {c.name: told(c, case).command(Path("in"), Path("out")) for c in contenders("cuda")}
    assert commands["onnxopt O3 ort-cuda"][-3:] == ["-O3", "--target", "ort-cuda"]
    assert commands["onnxopt O2"][-1:] == ["-O2"]
    assert commands["onnxruntime extended"][-1:] == ["cuda"]
    assert commands["onnxruntime transformers"][-4:] == ["gpt2", "4", "32", "cuda"]


def test_wrong_options_are_usage_errors() -> None:
    for arguments, text in (
        (["--batch", "0"], "each must be at least 1"),
        (["--tools", "tvm"], "no tool 'tvm'"),
        (["--models", "vgg"], "no reference model 'vgg'"),
    ):
        result = CliRunner().invoke(latency_command, arguments)
        assert result.exit_code == 2
        assert text in result.output


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="CUDA is offered"
)
def test_a_provider_that_is_not_offered_is_one_line(tmp_path: Path) -> None:
    arguments = ["--provider", "cuda", "-o", str(tmp_path / "latency.json")]
    result = CliRunner().invoke(latency_command, arguments)
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert "offers no CUDAExecutionProvider" in line
