"""Numbers, names and JSON in reports."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from onnxopt.errors import ModelError
from onnxopt.report import jsonfile, text


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (1234, "1.23 kB"),
        (99_605, "99.6 kB"),
        (103_679, "104 kB"),
        (999_499, "999 kB"),
        (999_501, "1.00 MB"),
        (8_000_000_000, "8.00 GB"),
        (12_345_000_000_000_000, "12,345 TB"),
    ],
)
def test_size(count: int, expected: str) -> None:
    assert text.size(count) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [(None, "-"), (0, "0"), (999, "999"), (4_120_000_000, "4.12 G"), (24_465, "24.5 k")],
)
def test_scaled(number: int | None, expected: str) -> None:
    assert text.scaled(number) == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [(27, 17, "-37.0%"), (4, 4, "="), (0, 3, "new"), (10, 12, "+20.0%"), (100_000, 99_999, "-1")],
)
def test_change(before: int, after: int, expected: str) -> None:
    assert text.change(before, after) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0123, "12 ms"), (0.9999, "1.0 s"), (59.0, "59.0 s"), (125.4, "2 min 5 s")],
)
def test_seconds(value: float, expected: str) -> None:
    assert text.seconds(value) == expected


def test_names_from_files_cannot_control_the_terminal() -> None:
    assert text.printable("conv/é:0") == "conv/é:0"
    assert text.printable("a\x1b[2Jb\r\u202e") == "a\\x1b[2Jb\\x0d\\u202e"
    assert text.one_line("two\n  lines\x07") == "two lines\\x07"


def test_json_is_strict() -> None:
    data = {
        "a": math.inf,
        "b": [math.nan, 1.5],
        3: np.float32(0.5),
        "n": np.int64(7),
        "p": Path("x"),
    }
    text_ = jsonfile.dumps(data)
    assert json.loads(text_) == {"a": None, "b": [None, 1.5], "3": 0.5, "n": 7, "p": "x"}
    assert "NaN" not in text_
    assert "Infinity" not in text_


def test_json_files_appear_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.json"
    jsonfile.write(path, {"a": 1})
    assert json.loads(path.read_text()) == {"a": 1}

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ModelError, match=r"report\.json: No space left"):
        jsonfile.write(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]
