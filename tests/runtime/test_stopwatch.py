"""The stopwatch: it picks a sample that runs, times both models, and says which does not run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import parser

from onnxopt.io import load
from onnxopt.runtime import stopwatch
from onnxopt.runtime.child import python
from onnxopt.runtime.inputs import generate
from onnxopt.runtime.stopwatch import CannotTime, Stopwatch

Writer = Callable[..., Path]
NEG = '<ir_version: 8, opset_import: ["": 17]> g (float[N] x) => (float[N] y) { y = Neg(x) }'
EVEN = """<ir_version: 8, opset_import: ["": 17]> g (float[1,length] x) => (float[M,8] y)
<int64[2] s = {-1, 8}> { y = Reshape(x, s) }"""
CPU = "CPUExecutionProvider"


@pytest.fixture
def watch() -> Iterator[Stopwatch]:
    with Stopwatch(CPU, timeout_s=60) as found:
        yield found


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    def call(text: str, name: str = "model.onnx") -> Path:
        onnx.save(parser.parse_model(text), tmp_path / name)
        return tmp_path / name

    return call


def test_both_models_are_timed_on_the_largest_sample(watch: Stopwatch, write: Writer) -> None:
    first, second = write(NEG), write(NEG.replace("Neg", "Abs"), "other.onnx")
    feeds = [{"x": np.full(size, -2, np.float32)} for size in (3, 7, 5)]
    assert watch.pick_sample(first, feeds) == {"x": [7]}
    for lap in watch.round(first, second):
        assert 0 < lap.least <= lap.median
        assert lap.runs >= 5


def test_a_sample_is_taken_as_it_is_and_laps_may_be_short(write: Writer) -> None:
    path = write(NEG)
    with Stopwatch(CPU, timeout_s=60, warm_s=0.0, run_s=0.0) as watch:
        watch.take_sample({"x": np.ones(3, np.float32)})
        assert [lap.runs for lap in watch.round(path, path)] == [2, 2]


@pytest.mark.parametrize("broken", [0, 1])
def test_a_sample_taken_that_a_model_does_not_run_on(write: Writer, broken: int) -> None:
    models = [write(NEG), write(NEG, "other.onnx")]
    models[broken] = write(NEG.replace("float[N] x", "float[N, N] x"), "broken.onnx")
    with Stopwatch(CPU, timeout_s=60) as watch:
        watch.take_sample({"x": np.ones(3, np.float32)})
        with pytest.raises(CannotTime) as raised:
            watch.round(*models)
    assert raised.value.model == broken


def test_generated_samples_are_ones_that_run(watch: Stopwatch, write: Writer) -> None:
    path = write(EVEN)
    shapes = watch.pick_sample(path, generate(load(path)))
    assert shapes["x"][1] % 8 == 0
    watch.round(path, path)


def test_an_original_that_does_not_run_has_no_sample(watch: Stopwatch, write: Writer) -> None:
    path = write(EVEN)
    with pytest.raises(CannotTime, match="the original runs on no input"):
        watch.pick_sample(path, [{"x": np.ones((1, 7), np.float32)}])


@pytest.mark.parametrize("broken", [0, 1])
def test_a_model_that_does_not_load_is_named(watch: Stopwatch, write: Writer, broken: int) -> None:
    good, bad = write(NEG), write(NEG, "bad.onnx")
    watch.pick_sample(good, [{"x": np.ones(2, np.float32)}])
    bad.write_bytes(b"nothing")
    pair = (bad, good) if broken == 0 else (good, bad)
    with pytest.raises(CannotTime) as raised:
        watch.round(*pair)
    assert raised.value.model == broken


def test_a_child_that_dies_is_no_verdict_on_a_model(
    watch: Stopwatch, write: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(NEG)
    watch.pick_sample(path, [{"x": np.ones(2, np.float32)}])
    monkeypatch.setattr(stopwatch, "TIMING", python("no_such_module"))
    with pytest.raises(CannotTime, match="status 1") as raised:
        watch.round(path, path)
    assert raised.value.model is None


def test_nothing_is_left_behind(
    write: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    path = write(NEG)
    with Stopwatch(CPU) as watch:
        watch.pick_sample(path, [{"x": np.ones(2, np.float32)}])
        watch.round(path, path)
    assert list(folder.iterdir()) == []
