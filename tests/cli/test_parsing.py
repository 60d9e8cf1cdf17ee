"""Shapes, dims and tolerances as users write them."""

from __future__ import annotations

from typing import Any

import click
import pytest

from onnxopt.cli.parsing import Amount, DimSize, InputShape, unique


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x:1,3,224,224", ("x", (1, 3, 224, 224))),
        ("x: 1, 3", ("x", (1, 3))),
        ("scope/x:0:2,4", ("scope/x:0", (2, 4))),
        ("x:batch,4", ("x", ("batch", 4))),
        ("x:past + 1,4", ("x", ("past + 1", 4))),
        ("x:", ("x", ())),
        ("x:0", ("x", (0,))),
    ],
)
def test_input_shape(text: str, expected: Any) -> None:
    assert InputShape().convert(text, None, None) == expected


@pytest.mark.parametrize("text", ["x", ":1,2", "x:1,,2", "x:-1", 'x:"a"', f"x:{2**63}"])
def test_input_shape_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        InputShape().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "expected"), [("batch=4", ("batch", 4)), ("a=b=0", ("a=b", 0)), ("n=08", ("n", 8))]
)
def test_dim(text: str, expected: tuple[str, int]) -> None:
    assert DimSize().convert(text, None, None) == expected


@pytest.mark.parametrize("text", ["batch", "=4", "batch=", "batch=-1", "batch=1.5", "batch=²"])
def test_dim_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        DimSize().convert(text, None, None)


def test_amount() -> None:
    assert Amount().convert("0", None, None) == 0.0
    assert Amount(positive=True).convert("1e-3", None, None) == 0.001
    for text in ("nan", "inf", "-1", "many"):
        with pytest.raises(click.BadParameter):
            Amount().convert(text, None, None)
    with pytest.raises(click.BadParameter):
        Amount(positive=True).convert("0", None, None)


def test_unique() -> None:
    assert unique([("a", 1), ("b", 2)], "--dim") == {"a": 1, "b": 2}
    with pytest.raises(click.UsageError, match="--dim is given twice for 'a'"):
        unique([("a", 1), ("a", 2)], "--dim")
