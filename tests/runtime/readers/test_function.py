"""Functions of the user's."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from onnxopt.errors import UsageError
from onnxopt.runtime.facts import InputSpec
from onnxopt.runtime.readers.opening import open_reader
from onnxopt.runtime.readers.options import ReaderOptions
from onnxopt.runtime.readers.reader import Sample

Spec = Callable[..., InputSpec]
Reading = Callable[..., list[Sample]]
_HEAD = "import numpy as np\nx = np.arange(3, dtype=np.float32)[None]\n"
_numbers = count()


@pytest.fixture
def read(tmp_path: Path, spec: Spec) -> Reading:
    def reading(body: str, *names: str, module: str = "", function: str = "give") -> list[Sample]:
        made = f"given_samples_{next(_numbers)}"
        (tmp_path / f"{made}.py").write_text(_HEAD + body)
        specs = [spec(name, 1, 3) for name in names or ("x",)]
        options = ReaderOptions(folder=str(tmp_path))
        return list(open_reader(f"{module or made}:{function}", specs, options=options))

    return reading


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("def give(): return 1 / 0", r":give: ZeroDivisionError: division by zero \(.*\.py:3\)"),
        ("import nothing_like_it", r"importing it: ModuleNotFoundError"),
        ("def give(: pass", r"importing it: SyntaxError"),
        ("other = 1", r"has no function 'give'"),
        ("def give(): return 5", r"gave int: it must return an iterable"),
        ("def give(): return 'text'", r"gave str"),
        ("def give(): return []", r"holds no samples"),
        ("def give(): return [[3]]", r"sample 0: is int: expected a mapping"),
        ("def give():\n yield x\n raise KeyError('a')", r"after 1 items: KeyError: 'a'"),
        ("def give(): return [x, x * np.nan]", r"sample 1: input 'x' holds NaN"),
        ("def give(): return [{'x': [1.0, 2.0]}]", r"sample 0: input 'x': is float64"),
    ],
)
def test_errors_of_the_users_code_are_one_line(read: Reading, body: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        read(body)
    assert "\n" not in str(caught.value)


def test_no_such_module(read: Reading) -> None:
    with pytest.raises(UsageError, match="there is no module 'nowhere_at_all'"):
        read("", module="nowhere_at_all")


def test_arrays_need_one_input(read: Reading) -> None:
    with pytest.raises(UsageError, match="is an array, the model has the inputs x, y: name them"):
        read("def give(): return [x]", "x", "y")


def test_arrays_mappings_and_generators(read: Reading) -> None:
    samples = read("def give():\n yield x\n yield {'x': 2 * x}\n yield np.float32([[7, 8, 9]])")
    assert [float(sample.feed["x"][0, 1]) for sample in samples] == [1, 2, 8]
    assert [sample.begins for sample in samples] == [True, False, False]


def test_lists_are_sequences(read: Reading) -> None:
    samples = read("def give(): return [[x, 2 * x], ({'x': k * x} for k in (3, 4, 5))]")
    assert [float(sample.feed["x"][0, 1]) for sample in samples] == [1, 2, 3, 4, 5]
    assert [sample.begins for sample in samples] == [True, False, True, False, False]
