"""Leaving in float what a huge constant would round away, such as the -1e9 of a mask.

An Add or a Concat of such a constant has a range of which the other operands fill less than two steps. A bias is stored in steps of the
activation's and the weights' scales: where all channels share one, a huge bias of one channel rounds all weights away. 8-bit floats
leave biases in float.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.quantization.statistics import Statistics
from onnxopt.quantization.table import Weighted

from ._plan import Plan, Planner
from ._scales import Scheme, weight_scale
from ._unseen import take_node, take_out

_JOINING = ("Add", "Concat")
_LEAST = 2.0
_COARSER = 4.0
MASKED = "a constant beside it is so large that the rest would be rounded away"
BIASED = "its bias is so large that one scale for all channels would round the weights away"


def leave_out_drowned(
    plan: Plan,
    planner: Planner,
    facts: Facts,
    statistics: Statistics,
    scheme: Scheme,
    wide: Collection[ir.Value] = (),
) -> list[ir.Node]:
    """Takes out of a plan what would be rounded away.

    Args:
        plan: The plan, which is changed.
        planner: Made it.
        facts: Constants.
        statistics: What was seen of its roots.
        scheme: How values are stored.
        wide: Roots that get 16 bits.

    Returns:
        The nodes taken out.
    """
    ranges = _Ranges(statistics, scheme, wide)
    roots: set[ir.Value] = set()
    for node in plan.integer:
        if node.op_type in _JOINING and _is_drowned(node, plan, planner, ranges, roots):
            roots.add(plan.tensors[plan.results[node]])
    values = {value for value, root in plan.tensors.items() if root in roots}
    out = take_out(plan, values, MASKED, planner.data)
    for node in [n for n, _ in plan.weighted() if _is_biased(n, plan, facts, ranges, scheme)]:
        take_node(plan, node, BIASED)
        out.append(node)
    if out:
        _forget_unread(plan, planner)
    return out


class _Ranges:
    def __init__(self, statistics: Statistics, scheme: Scheme, wide: Collection[ir.Value]) -> None:
        self._statistics = statistics
        self._scheme = scheme
        self._wide = wide

    def span(self, root: ir.Value) -> float:
        """How wide the range of a value is, with 0 in it."""
        seen = self._statistics.tensors.get(root.name or "")
        if seen is None or not seen.count:
            return 0.0
        return max(float(seen.high), 0.0) - min(float(seen.low), 0.0)

    def steps(self, root: ir.Value) -> int:
        """How many steps the range is divided into."""
        scheme = self._scheme.widened if root in self._wide else self._scheme
        return scheme.activations.levels - 1


def _is_drowned(
    node: ir.Node, plan: Plan, planner: Planner, ranges: _Ranges, roots: set[ir.Value]
) -> bool:
    """Whether constants, and what is drowned by some already, leave too few steps to the other operands."""
    result, data = plan.tensors.get(plan.results[node]), planner.data(node)
    rest = [plan.tensors[v] for v in data if v in plan.tensors and plan.tensors[v] not in roots]
    if result is None or len(rest) == len(data):
        return False
    widest = max((ranges.span(root) for root in rest), default=0.0)
    return widest * ranges.steps(result) < _LEAST * ranges.span(result)


def _is_biased(node: ir.Node, plan: Plan, facts: Facts, ranges: _Ranges, scheme: Scheme) -> bool:
    form, data = plan.integer[node], node.inputs[0]
    if form is None or data is None or scheme.floating:
        return False
    if scheme.by_channel and form.granularity == "channel":
        return False
    weight, bias = (
        facts.const_tensor(v) for v in (node.inputs[form.weight], _bias(node, form, plan, facts))
    )
    root = plan.tensors[data]
    step = ranges.span(root) / ranges.steps(root)
    if weight is None or bias is None or not step:
        return False
    numbers, added = (np.asarray(t.numpy(), np.float32) for t in (weight, bias))
    free = weight_scale(numbers, None, scheme, None, np.asarray(step)).scale
    held = weight_scale(numbers, None, scheme, added, np.asarray(step)).scale
    return bool(held > _COARSER * free)


def _bias(node: ir.Node, form: Weighted, plan: Plan, facts: Facts) -> ir.Value | None:
    """The constant that is stored in steps of both scales, if there is one."""
    if form.bias is not None and form.bias < len(node.inputs):
        return node.inputs[form.bias]
    total = plan.sums.get(node)
    if total is None or facts.static_shape(node.inputs[0]) is None:
        return None
    return next((v for v in total.inputs if facts.const_tensor(v) is not None), None)


def _forget_unread(plan: Plan, planner: Planner) -> None:
    """Drops quantised values that nothing makes or reads in integers any more."""
    read = {value for node in plan.integer for value in planner.data(node)}
    for value in list(plan.tensors):
        if value not in plan.made and value not in read:
            del plan.tensors[value]
