"""Models that memory does not hold are not run."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx.parser
import pytest

from onnxopt.compiler import compile as compiling
from onnxopt.compiler import room
from onnxopt.compiler.compile import optimise
from onnxopt.compiler.options import Options

TEXT = """<ir_version: 8, opset_import: ["": 17]>
g (float[N, 3] x) => (float[N, 3] y) { a = Identity(x) y = Neg(a) }"""


@pytest.fixture(name="small")
def _small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose files say that a kilobyte of memory is available."""
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:          1 kB\n")
    monkeypatch.setattr(room, "_MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(room, "_GROUP", tmp_path)
    return tmp_path


def test_what_is_not_known_lacks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_MEMORY", tmp_path / "none")
    assert room.available() is None
    assert room.lack_of_memory(1 << 60) == ""


@pytest.mark.usefixtures("small")
def test_the_reason_names_both_sizes() -> None:
    assert room.available() == 1024
    assert room.lack_of_memory(1024) == ""
    reason = room.lack_of_memory(5_000_000_000)
    assert reason.startswith("it takes 5.0 GB to run the original, and 0.0 GB of memory are")


def test_a_control_group_may_allow_less(small: Path) -> None:
    (small / "memory.max").write_text("max\n")
    (small / "memory.current").write_text("100\n")
    assert room.available() == 1024
    (small / "memory.max").write_text("600\n")
    assert room.available() == 500


def test_a_model_that_does_not_fit_is_not_validated_unless_that_is_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx.save(onnx.parser.parse_model(TEXT), tmp_path / "m.onnx")
    monkeypatch.setattr(compiling, "lack_of_memory", lambda _: "too large")
    result = optimise(tmp_path / "m.onnx", tmp_path / "o.onnx", Options())
    assert result.validation is not None
    assert (result.validation.status, result.validation.reason) == ("not-validated", "too large")
    assert (tmp_path / "o.onnx").exists()
    required = optimise(tmp_path / "m.onnx", None, Options(require_validation=True))
    assert required.validation is not None
    assert required.validation.status == "passed"
