"""Computing values of a region in numpy, where numpy is exact for all of it.

It spares loading the runtime, which costs more than folding what most models hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from ._region import Region
from ._steps import Step, step_for

Array = np.ndarray[Any, Any]


def evaluate_exactly(
    region: Region, opsets: Mapping[str, int], values: Sequence[ir.Value]
) -> list[Array] | None:
    """Computes values of a region; None where numpy cannot, or a node is invalid as it stands."""
    producers = [v.producer() for v in values]
    nodes = region.upstream(list(dict.fromkeys(n for n in producers if n is not None)))
    steps = [_step(region, opsets, node) for node in nodes]
    known: dict[ir.Value, Array] = {}
    for node, step in zip(nodes, steps, strict=True):
        if step is None:
            return None
        try:
            result = step([None if v is None else _read(region, known, v) for v in node.inputs])
        except (ValueError, TypeError, IndexError):
            return None
        if result.shape != region.facts.static_shape(node.outputs[0]):
            return None
        known[node.outputs[0]] = result
    return [known[value] for value in values]


def _read(region: Region, known: Mapping[ir.Value, Array], value: ir.Value) -> Array:
    found = known.get(value)
    if found is not None:
        return found
    constant = region.facts.const(value)
    if constant is None:
        raise ValueError(f"{value.name} is not a constant")
    return constant


def _step(region: Region, opsets: Mapping[str, int], node: ir.Node) -> Step | None:
    dims = region.facts.static_shape(node.outputs[0])
    if dims is None or any(isinstance(a, ir.Attr) and a.is_ref() for a in node.attributes.values()):
        return None
    dtypes = [None if v is None else region.facts.dtype(v) for v in node.inputs]
    return step_for(node, dtypes, dims, opsets.get("", opsets.get("ai.onnx", 0)))
