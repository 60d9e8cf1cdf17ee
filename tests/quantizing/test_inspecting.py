"""Which layers are left in float one at a time for a report."""

from __future__ import annotations

from typing import Any

from onnxopt.quantizing.inspecting import suspects
from onnxopt.quantizing.layers import Layer


def described(count: int, **more: Any) -> list[dict[str, Any]]:
    """Layers from the most harmful on, which is the first."""
    return [{"name": f"l{i}", "integer": True, "depth": i, **more} for i in range(count)]


def names(rows: list[dict[str, Any]], count: int) -> list[str]:
    layers = [Layer(f"l{i}", "Conv", 1) for i in range(count)]
    return [layer.name for layer in suspects(rows, layers)]


def test_all_layers_of_a_small_model() -> None:
    assert sorted(names(described(16), 16)) == sorted(f"l{i}" for i in range(16))


def test_the_last_layers_and_those_that_round_most() -> None:
    assert names(described(40), 40) == ["l39", "l38", "l37", "l36", *(f"l{i}" for i in range(12))]


def test_layers_in_float_and_unknown_ones_are_none() -> None:
    rows = described(6)
    rows[5]["integer"] = rows[0]["integer"] = False
    assert names(rows, 4) == ["l3", "l2", "l1"]
