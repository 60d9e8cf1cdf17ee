"""Inner values of two models: sums of squares, in groups, with state, and what is passed over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import parser

from onnxopt.errors import ModelError
from onnxopt.io import load
from onnxopt.runtime.quality.inner import Powers, measure_inner
from onnxopt.runtime.quality.job import Reading
from onnxopt.runtime.readers.options import ReaderOptions
from onnxopt.runtime.trace import input_specs

CHAIN = """<ir_version: 8, opset_import: ["": 17]> g (float[B,4] x) => (float[B,4] y)
<float k = {%s}, float two = {2.0}> { a = Mul(x, k)  b = Add(a, two)  s = Shape(b)  y = Mul(b, two) }"""
MEMORY = """<ir_version: 8, opset_import: ["": 17]>
g (float[1,2] x, float[1,2] h) => (float[1,2] y, float[1,2] hn)
<float k = {%s}> { d = Mul(h, k)  hn = Add(d, x)  y = Identity(hn) }"""


def write(folder: Path, text: str, name: str) -> Path:
    onnx.save(parser.parse_model(text), folder / name)
    return folder / name


def reading(model: Path, x: np.ndarray, **more: object) -> Reading:
    archive = model.with_suffix(".npz")
    np.savez(archive, x=x)
    return Reading(str(archive), input_specs(load(model)), **more)  # type: ignore[arg-type]


def numbers(samples: int, width: int = 4) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(samples, width)).astype(np.float32)


def test_names_of_one_model_alone_and_other_types_are_passed_over(tmp_path: Path) -> None:
    one, two = write(tmp_path, CHAIN % "1.0", "a.onnx"), write(tmp_path, CHAIN % "1.5", "b.onnx")
    samples = reading(one, numbers(2))
    assert measure_inner(one, two, {"nothing": "a", "a": "nothing", "two": "two"}, samples) == {}
    assert set(measure_inner(one, two, {"a": "a", "s": "s"}, samples)) == {"a"}


def test_a_model_that_does_not_load_is_an_error(tmp_path: Path) -> None:
    one = write(tmp_path, CHAIN % "1.0", "a.onnx")
    bad = write(tmp_path, (CHAIN % "1.0").replace("Add(a, two)", "Rubbish(a, two)"), "b.onnx")
    with pytest.raises(ModelError, match="does not load"):
        measure_inner(one, bad, {"a": "b"}, reading(one, numbers(2)))


@pytest.mark.parametrize("group_bytes", [1, 1 << 20])
def test_sums_of_squares_over_the_samples(tmp_path: Path, group_bytes: int) -> None:
    one, two = write(tmp_path, CHAIN % "1.0", "a.onnx"), write(tmp_path, CHAIN % "1.5", "b.onnx")
    x = numbers(5)
    values = {"y": "y", "a": "a", "x": "a"}
    found = measure_inner(one, two, values, reading(one, x), limit=3, group_bytes=group_bytes)
    signal, noise = float((x[:3] ** 2).sum()), float(((0.5 * x[:3]) ** 2).sum())
    assert found["a"].signal == pytest.approx(signal, rel=1e-6)
    assert found["a"].noise == pytest.approx(noise, rel=1e-6)
    assert found["a"].count == 12
    assert found["a"].ratio == pytest.approx(0.25)
    assert found["x"] == found["a"]
    assert found["y"].noise == pytest.approx(4 * noise, rel=1e-6)


def test_each_model_is_fed_its_own_state(tmp_path: Path) -> None:
    one, two = write(tmp_path, MEMORY % "1.0", "a.onnx"), write(tmp_path, MEMORY % "0.0", "b.onnx")
    x = np.ones((3, 1, 2), np.float32)
    np.savez(tmp_path / "a.npz", x=x)
    options = ReaderOptions(fed_back=("h",))
    samples = Reading(str(tmp_path / "a.npz"), input_specs(load(one)), options, {"hn": "h"})
    found = measure_inner(one, two, {"d": "d", "hn": "hn"}, samples)
    # The reference counts 1, 2, 3; the other forgets.
    assert found["hn"] == Powers(2 * (1 + 4 + 9), 2 * (0 + 1 + 4), 6)
    assert found["d"] == Powers(2 * (0 + 1 + 4), 2 * (0 + 1 + 4), 6)


def test_what_is_not_finite_in_the_reference_is_left_out(tmp_path: Path) -> None:
    text = (CHAIN % "1.0").replace("Mul(x, k)", "Div(x, k)")
    one = write(tmp_path, text.replace("k = {1.0}", "k = {0.0}"), "a.onnx")
    two = write(tmp_path, text, "b.onnx")
    found = measure_inner(one, two, {"a": "a"}, reading(one, numbers(2)))
    assert found["a"] == Powers(0.0, 0.0, 0)
    assert found["a"].ratio is None
    back = measure_inner(two, one, {"a": "a"}, reading(two, numbers(2)))
    assert back["a"].noise == np.inf
