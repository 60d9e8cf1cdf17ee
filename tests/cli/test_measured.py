"""``onnxopt optimize -O3`` for a target that has a provider: what it says, writes and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onnxopt.runtime.stopwatch import Stopwatch
from onnxopt.runtime.timing_job import Lap

from .conftest import Run, refusal, snapshot
from .samples import write_good

TARGET = 'summary = "Here"\nproviders = ["{}ExecutionProvider"]\n[choices]\nnothing = ["fuse"]\n'


@pytest.fixture
def target(folder: Path) -> Path:
    path = folder / "here.toml"
    path.write_text(TARGET.format("CPU"))
    return path


@pytest.fixture
def timings(
    run: Run, folder: Path, good: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A file of timings, made without a clock."""
    lap = Lap(1.0, 1.0, 5)
    with monkeypatch.context() as patch:
        patch.setattr(Stopwatch, "pick_sample", lambda *_: {"x": [2, 4]})
        patch.setattr(Stopwatch, "round", lambda *_: (lap, lap))
        args = ("-O3", "--target", target, "--timings", "t.json", "--no-validate")
        result = run("optimize", good, "-o", "first.onnx", *args)
    assert result.exit_code == 0, result.output
    return folder / "t.json"


def test_summary_and_json(
    run: Run, folder: Path, good: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxopt.compiler.race.MAX_ROUNDS", 1)
    args = ("-O3", "--target", target, "--timings", "t.json", "--measure-budget", "300")
    result = run("optimize", good, "-o", "out.onnx", *args)
    assert result.exit_code == 0, result.output
    words = " ".join(result.stdout.split())
    assert "Measured" in words
    assert "nothing on - makes no difference to this model" in words
    again = run("optimize", good, "-o", "out.onnx", *args, "--json")
    measured = json.loads(again.stdout)["measured"]
    assert measured["source"] == "t.json"
    assert measured["whole"]["rounds"] > 0
    assert {c["name"]: c["decision"] for c in measured["choices"]} == {"nothing": "on"}
    assert set(snapshot(folder)) == {"good.onnx", "here.toml", "out.onnx", "t.json"}


def test_timings_are_used_and_kept(run: Run, good: Path, target: Path, timings: Path) -> None:
    before = timings.read_bytes()
    args = ("-O3", "--target", target, "--timings", timings)
    result = run("optimize", good, "-o", "out.onnx", *args)
    assert result.exit_code == 0, result.output
    assert f"from {timings}" in result.stdout.replace("\n", "")
    assert timings.read_bytes() == before
    assert Path("out.onnx").read_bytes() == Path("first.onnx").read_bytes()


def test_timings_of_another_model(run: Run, folder: Path, target: Path, timings: Path) -> None:
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[N] x) => (float[N] y) { y = Tanh(x) }'
    write_good(folder / "other.onnx", text)
    before = snapshot(folder)
    args = ("-O3", "--target", target, "--timings", timings)
    line = refusal(run("optimize", "other.onnx", "-o", "out.onnx", *args), 2)
    assert "the timings are of another model" in line
    assert snapshot(folder) == before


def test_timings_that_are_none(run: Run, folder: Path, good: Path, target: Path) -> None:
    (folder / "t.json").write_text("{}")
    args = ("-O3", "--target", target, "--timings", "t.json")
    assert "t.json: not a file of timings" in refusal(
        run("optimize", good, "-o", "out.onnx", *args), 2
    )


def test_timings_without_a_place(run: Run, good: Path, target: Path) -> None:
    args = ("-O3", "--target", target, "--timings", "nosuch/t.json")
    assert "nosuch does not exist" in refusal(run("optimize", good, "-o", "out.onnx", *args), 3)


def test_a_report_does_not_replace_the_timings(
    run: Run, folder: Path, good: Path, target: Path, timings: Path
) -> None:
    before = snapshot(folder)
    args = ("-O3", "--target", target, "--timings", timings, "--report", timings)
    assert "would overwrite" in refusal(run("optimize", good, "-o", "out.onnx", *args), 3)
    assert snapshot(folder) == before


@pytest.mark.parametrize("validate", [(), ("--no-validate",)])
def test_a_provider_that_is_missing(
    run: Run, folder: Path, good: Path, validate: tuple[str, ...]
) -> None:
    (folder / "there.toml").write_text(TARGET.format("Rknpu"))
    args = ("-O3", "--target", "there.toml", *validate)
    line = refusal(run("optimize", good, "-o", "out.onnx", *args), 4)
    assert "RknpuExecutionProvider" in line


@pytest.mark.parametrize(
    "args",
    [
        ("--timings", "t.json"),
        ("-O3", "--timings", "t.json"),
        ("-O3", "--timings", "t.json", "--passes", "fold"),
        ("-O3", "--measure-budget", "0"),
    ],
)
def test_wrong_usage(run: Run, folder: Path, good: Path, args: tuple[str, ...]) -> None:
    before = snapshot(folder)
    refusal(run("optimize", good, "-o", "out.onnx", *args), 2)
    assert snapshot(folder) == before


def test_an_unknown_name_in_a_choice(run: Run, folder: Path, good: Path) -> None:
    (folder / "odd.toml").write_text(TARGET.format("CPU").replace("fuse", "nosuch"))
    args = ("-O3", "--target", "odd.toml")
    assert "nosuch" in refusal(run("optimize", good, "-o", "out.onnx", *args), 2)
