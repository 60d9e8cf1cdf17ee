"""Comparing models: in order, each with its own state, and whatever does not run."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import parser

from onnxopt.errors import ModelError, UsageError
from onnxopt.io import load
from onnxopt.runtime.quality import measuring
from onnxopt.runtime.quality.job import Reading
from onnxopt.runtime.quality.measuring import measure_quality
from onnxopt.runtime.readers.options import ReaderOptions
from onnxopt.runtime.trace import input_specs

Writer = Callable[[str, str], Path]
SCALED = """<ir_version: 8, opset_import: ["": 17]> g (float[B,4] x) => (float[B,4] y)
<float k = {%s}> { y = Mul(x, k) }"""
MEMORY = """<ir_version: 8, opset_import: ["": 17]>
g (float[1,2] x, float[1,2] h) => (float[1,2] y, float[1,2] hn)
<float k = {%s}> { d = Mul(h, k)  hn = Add(d, x)  y = Identity(hn) }"""


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    def call(text: str, name: str) -> Path:
        onnx.save(parser.parse_model(text), tmp_path / name)
        return tmp_path / name

    return call


def reading(model: Path, feeds: dict[str, np.ndarray], **more: object) -> Reading:
    archive = model.with_suffix(".npz")
    np.savez(archive, **feeds)  # type: ignore[arg-type]
    return Reading(str(archive), input_specs(load(model)), **more)  # type: ignore[arg-type]


def numbers(samples: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(samples, 4)).astype(np.float32)


def test_a_reference_that_does_not_run_is_an_error(write: Writer) -> None:
    good = write(SCALED % "1.0", "good.onnx")
    samples = reading(good, {"x": numbers(2)})
    bad = good.with_name("bad.onnx")
    bad.write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"bad\.onnx"):
        measure_quality(bad, [good], samples)


def test_samples_that_do_not_fit_are_an_error(write: Writer) -> None:
    good = write(SCALED % "1.0", "good.onnx")
    with pytest.raises(UsageError, match="x"):
        measure_quality(good, [good], reading(good, {"x": np.ones((2, 3), np.float32)}))


def test_a_candidate_that_does_not_run_is_told_and_the_next_is_measured(write: Writer) -> None:
    good = write(SCALED % "1.0", "good.onnx")
    bad = good.with_name("bad.onnx")
    bad.write_bytes(b"nothing")
    other = write((SCALED % "1.0").replace("y", "z"), "other.onnx")
    found = measure_quality(good, [bad, other, good], reading(good, {"x": numbers(3)}))
    assert found[0].failure
    assert found[0].overall is None
    assert "no float output 'y'" in found[1].failure
    assert found[2].samples == 3
    assert found[2].overall is not None
    assert found[2].overall.snr_db == math.inf


def test_a_candidate_that_ends_the_child_is_told_and_the_next_is_measured(
    write: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = write(SCALED % "1.0", "good.onnx")
    samples = reading(good, {"x": numbers(2)})
    killer = tmp_path / "killer.py"
    killer.write_text(
        "import os, sys\nfrom onnxopt.runtime.quality import worker\n"
        "real = worker.make_session\n"
        "def make(path, **options):\n"
        "    os._exit(7) if 'killer' in str(path) else None\n"
        "    return real(path, **options)\n"
        "worker.make_session = make\nworker.main()\n"
    )
    bad = write(SCALED % "1.0", "killer.onnx")
    monkeypatch.setattr(measuring, "_WORKER", (measuring._WORKER[0], str(killer)))
    found = measure_quality(good, [good, bad, good], samples)
    assert [quality.failure != "" for quality in found] == [False, True, False]
    assert "status 7" in found[1].failure


def test_figures_are_those_of_each_candidate(write: Writer) -> None:
    reference = write(SCALED % "1.0", "reference.onnx")
    tenth, wrong = write(SCALED % "1.1", "tenth.onnx"), write(SCALED % "-1.0", "wrong.onnx")
    steps: list[tuple[str, int]] = []
    found = measure_quality(
        reference,
        [tenth, wrong],
        reading(reference, {"x": numbers(5)}),
        on_progress=lambda stage, sample: steps.append((stage, sample)),
    )
    assert found[0].outputs["y"].snr_db == pytest.approx(20.0, abs=1e-3)
    assert found[0].outputs["y"].top1 == 1.0
    assert found[1].outputs["y"].cosine == pytest.approx(-1.0)
    assert found[1].outputs["y"].top1 == 0.0
    assert found[1].outputs["y"].max_abs == pytest.approx(2 * np.abs(numbers(5)).max())
    assert steps[0] == ("reference-load", 0)
    assert ("candidate1-run", 5) in steps


def test_memory_is_bounded_by_fewer_samples(write: Writer) -> None:
    model = write(SCALED % "1.0", "model.onnx")
    (found,) = measure_quality(model, [model], reading(model, {"x": numbers(9)}), kept_bytes=50)
    assert found.samples == 3
    assert "3 samples" in found.notes[0]
    (found,) = measure_quality(model, [model], reading(model, {"x": numbers(9)}), limit=4)
    assert found.samples == 4
    assert not found.notes


def test_the_reference_runs_once_where_its_outputs_are_kept(write: Writer, tmp_path: Path) -> None:
    model, other = (write(SCALED % k, f"{k}.onnx") for k in ("1.0", "-1.0"))
    samples = reading(model, {"x": numbers(9)})
    kept = tmp_path / "kept"
    found, steps = [], list[str]()
    for _ in range(2):
        found += measure_quality(
            model,
            [other],
            samples,
            limit=4,
            seconds=60.0,
            kept_in=kept,
            on_progress=lambda stage, _: steps.append(stage),
        )
    found += measure_quality(model, [other], samples)
    assert found[0] == found[1] == found[2]
    assert steps.count("reference-load") == 1
    assert steps.count("candidate0-load") == 2


def test_candidates_run_on_the_first_of_the_samples(write: Writer, tmp_path: Path) -> None:
    model, other = (write(SCALED % k, f"{k}.onnx") for k in ("1.0", "0.9"))
    samples = reading(model, {"x": numbers(9)})
    kept = tmp_path / "kept"
    options = {"limit": 4, "seconds": 60.0, "kept_in": kept}
    counts = [
        measure_quality(model, [other], samples, few=few, **options)[0].samples  # type: ignore[arg-type]
        for few in (2, 3, 0)
    ]
    assert counts == [4, 6, 9]
    (first,) = measure_quality(model, [other], reading(model, {"x": numbers(9)[:4]}))
    assert measure_quality(model, [other], samples, few=2, **options)[0] == first  # type: ignore[arg-type]


def test_what_was_said_of_the_reference_is_kept(write: Writer, tmp_path: Path) -> None:
    model = write(SCALED % "1.0", "model.onnx")
    samples = reading(model, {"x": numbers(9)})
    found = [
        measure_quality(model, [model], samples, kept_bytes=50, kept_in=tmp_path / "kept")[0]
        for _ in range(2)
    ]
    assert found[0] == found[1]
    assert "3 samples" in found[1].notes[0]


def test_each_model_feeds_back_its_own_state(write: Writer) -> None:
    """Open loop, each step would be off by its own error alone; closed, errors add up along the sequence."""
    reference, other = write(MEMORY % "1.0", "a.onnx"), write(MEMORY % "0.5", "b.onnx")
    ones = np.ones((3, 1, 2), np.float32)
    samples = reading(
        reference, {"x": ones}, state={"hn": "h"}, options=ReaderOptions(fed_back=("h",))
    )
    (found,) = measure_quality(reference, [other], samples)
    # The reference returns 1, 2, 3; the other 1, 1.5, 1.75.
    assert found.outputs["y"].max_abs == pytest.approx(1.25)
    assert found.outputs["y"].snr_db == pytest.approx(10 * math.log10(14 / (0.25 + 1.5625)))


def test_fed_back_state_does_not_count_beside_other_outputs(write: Writer) -> None:
    reference = write(MEMORY % "1.0", "a.onnx")
    text = (MEMORY % "1.0").replace("y = Identity(hn)", "y = Mul(hn, two)")
    text = text.replace("<float k = {1.0}>", "<float k = {1.0}, float two = {1.1}>")
    other = write(text, "b.onnx")
    samples = reading(
        reference,
        {"x": np.ones((2, 1, 2), np.float32)},
        state={"hn": "h"},
        options=ReaderOptions(fed_back=("h",)),
    )
    (found,) = measure_quality(reference, [other], samples)
    assert found.outputs["hn"].snr_db == math.inf
    assert found.overall == found.outputs["y"]
    with pytest.raises(UsageError, match="no output 'zz'"):
        measure_quality(
            reference, [other], Reading(samples.source, samples.specs, state={"zz": "h"})
        )


def test_a_function_of_the_users_sees_all_outputs(write: Writer, tmp_path: Path) -> None:
    (tmp_path / "scoring_of_mine.py").write_text(
        "def negative_error(reference, other):\n"
        "    return -max(abs(a['y'] - b['y']).max() for a, b in zip(reference, other))\n"
        "def broken(reference, other):\n    raise KeyError('no such')\n"
    )
    reference, other = write(SCALED % "1.0", "a.onnx"), write(SCALED % "2.0", "b.onnx")
    samples = reading(reference, {"x": numbers(4)}, options=ReaderOptions(folder=str(tmp_path)))
    name = "scoring_of_mine:negative_error"
    (found,) = measure_quality(reference, [other], samples, metrics=[name])
    assert found.best == {name: 0.0}
    assert found.metrics[name] == pytest.approx(-float(np.abs(numbers(4)).max()))
    with pytest.raises(UsageError, match="KeyError: 'no such'"):
        measure_quality(reference, [other], samples, metrics=["scoring_of_mine:broken"])
    with pytest.raises(UsageError, match="no function 'nothing'"):
        measure_quality(reference, [other], samples, metrics=["scoring_of_mine:nothing"])
