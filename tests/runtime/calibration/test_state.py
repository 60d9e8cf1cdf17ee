"""State that is fed back."""

from __future__ import annotations

import numpy as np
import pytest

from onnxopt.errors import UsageError
from onnxopt.runtime.calibration.state import State, check_pairs
from onnxopt.runtime.facts import InputSpec
from onnxopt.runtime.readers.reader import Sample

X = InputSpec("x", "tensor", "float32", ["N", 3])
H = InputSpec("h", "tensor", "float16", [2, "N", "?h.2"])


def _sample(n: int, *, begins: bool = False, **more: np.ndarray) -> Sample:
    return Sample("s", {"x": np.zeros((n, 3), np.float32), **more}, begins)


def test_pairs_that_do_not_exist() -> None:
    with pytest.raises(UsageError, match="--state no=h: the model has no output 'no'"):
        check_pairs({"no": "h"}, ["y"], [X, H])
    with pytest.raises(UsageError, match="--state y=no: the model has no input 'no'"):
        check_pairs({"y": "no"}, ["y"], [X, H])
    with pytest.raises(UsageError, match="another output is fed to 'h'"):
        check_pairs({"y": "h", "z": "h"}, ["y", "z"], [X, H])


def test_a_state_without_a_shape_must_be_given() -> None:
    state = State({"y": "h"}, [X, InputSpec("h", "tensor", "float32", None)])
    with pytest.raises(UsageError, match="state 'h' has no shape"):
        state.complete(_sample(1, begins=True))


def test_zeros_at_first_then_what_was_returned_then_zeros_again() -> None:
    state = State({"y": "h"}, [X, H])
    first = state.complete(_sample(4, begins=True))["h"]
    assert first.shape == (2, 4, 1)
    assert first.dtype == np.float16
    assert not first.any()
    state.keep({"y": np.ones((2, 4, 1), np.float16)})
    assert state.complete(_sample(4))["h"].all()
    assert not state.complete(_sample(4, begins=True))["h"].any()


def test_the_samples_may_give_the_first_value() -> None:
    state = State({"y": "h"}, [X, H])
    given = np.full((2, 1, 1), 7, np.float16)
    assert state.complete(_sample(1, begins=True, h=given))["h"].max() == 7
    state.keep({"y": np.ones((2, 1, 1), np.float16)})
    assert state.complete(_sample(1, h=given))["h"].max() == 1


@pytest.mark.parametrize(
    ("array", "returns"),
    [
        (np.ones((2, 4, 1), np.float32), r"float32\[2, 4, 1\]"),
        (np.ones((3, 4, 1), np.float16), r"float16\[3, 4, 1\]"),
        (np.ones((4, 1), np.float16), r"float16\[4, 1\]"),
    ],
)
def test_what_is_fed_back_must_be_what_the_input_takes(array: np.ndarray, returns: str) -> None:
    state = State({"y": "h"}, [X, H])
    text = (
        f"--state y=h: the model returns {returns} as 'y' and takes float16\\[2, N, \\?\\] as 'h'"
    )
    with pytest.raises(UsageError, match=text):
        state.keep({"y": array})
