"""Gram matrices that passes ask for are added up once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest

from onnxopt.quantizing import grams as module
from onnxopt.quantizing.grams import Grams


class Adder:
    """Stands in for running the model: the matrix of ``aN`` is N times the identity; none has another."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def __call__(self, _: ir.Model, names: Sequence[str], into: Path) -> Mapping[str, Path]:
        self.asked.append(list(names))
        files = {name: into / f"{name}.npy" for name in names if name.startswith("a")}
        for name, path in files.items():
            np.save(path, np.eye(2) * int(name[1:]))
        return files


def model(op: str) -> ir.Model:
    text = (
        f'<ir_version: 8, opset_import: ["": 17]> g (float[N] x) => (float[N] y) {{ y = {op}(x) }}'
    )
    return ir.from_proto(onnx.parser.parse_model(text))


def test_each_is_added_up_once_and_what_was_not_seen_is_left_out() -> None:
    adder = Adder()
    service, one = Grams(adder), model("Neg")
    assert dict(service(one, ["b"])) == {}
    found = service(one, ["a1", "b", "a2"])
    assert list(found) == ["a1", "a2"]
    assert len(found) == 2
    assert isinstance(found["a2"], np.memmap)
    np.testing.assert_array_equal(found["a2"], 2 * np.eye(2))
    service(one, ["a2"])
    assert adder.asked == [["b"], ["a1", "a2"]]


def test_another_model_has_its_own() -> None:
    adder = Adder()
    service = Grams(adder)
    service(model("Neg"), ["a1"])
    service(model("Abs"), ["a1"])
    assert adder.asked == [["a1"], ["a1"]]


def test_those_that_are_not_needed_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT", 0)
    adder = Adder()
    service, one = Grams(adder), model("Neg")
    service(one, ["a1", "a2"])
    found = service(one, ["a2", "a3"])
    np.testing.assert_array_equal(found["a2"], 2 * np.eye(2))
    service(one, ["a1"])
    assert adder.asked == [["a1", "a2"], ["a3"], ["a1"]]
