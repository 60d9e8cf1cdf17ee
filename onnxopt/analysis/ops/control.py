"""Control flow: the facts of bodies, and of what comes out of them.

A branch sees the facts around it. A loop's body is inferred under the assumption that the variables it carries keep their
shapes; where the body's own result contradicts that, the dimension becomes an unknown and the body is inferred again. An
unknown in a loop's body stands for one iteration only, so that no symbolic dimension leaves it.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from onnxopt.analysis.context import Content, Context, Fact, Shape, Unknown, infers, normalize_axis
from onnxopt.analysis.dims import Dim, fresh
from onnxopt.analysis.ops.common import BOOL, INT64

_ROUNDS = 4


def body_of(context: Context, name: str) -> ir.Graph:
    """The graph in an attribute.

    Raises:
        Unknown: There is none.
    """
    graph = context.attribute(name)
    if not isinstance(graph, ir.Graph):
        raise Unknown
    return graph


@infers("If")
def infer_if(context: Context) -> None:
    """What both branches agree on, or the branch that a known condition takes."""
    branches = [body_of(context, "then_branch"), body_of(context, "else_branch")]
    for branch in branches:
        context.facts.walk(branch)
    condition = context.content(0)
    if isinstance(condition, tuple) and len(condition) == 1:
        condition = condition[0]
    if isinstance(condition, int):
        branches = [branches[0 if condition else 1]]
    for index, fact in enumerate(context.outs):
        _merge_into(fact, [_result(context, branch, index) for branch in branches])


def _result(context: Context, graph: ir.Graph, index: int) -> Fact:
    if index >= len(graph.outputs):
        raise Unknown
    value = graph.outputs[index]
    context.facts.content(value)
    return context.facts.fact(value)


def _merge_into(target: Fact, sources: Sequence[Fact]) -> None:
    first, last = sources[0], sources[-1]
    target.dtype = first.dtype if first.dtype == last.dtype else None
    target.container = first.container if first.container == last.container else None
    target.shape = _common_shape(first.shape, last.shape)
    if len(sources) == 1 or _same_content(first.content, last.content):
        target.content = first.content


def _common_shape(a: Shape | None, b: Shape | None) -> Shape | None:
    if a is None or b is None or len(a) != len(b):
        return None
    return tuple(x if x == y else fresh() for x, y in zip(a, b, strict=True))


def _same_content(a: Content | None, b: Content | None) -> bool:
    return a is not None and a == b


@infers("Loop")
def infer_loop(context: Context) -> None:
    """The carried variables as they stay, and what each iteration yields along a new axis."""
    body = body_of(context, "body")
    carried = len(context.inputs) - 2
    if len(body.inputs) != carried + 2 or len(body.outputs) < carried + 1:
        raise Unknown
    facts = context.facts
    facts.set_fact(body.inputs[0], Fact(INT64, ()))
    facts.set_fact(body.inputs[1], Fact(BOOL, ()))
    initial = [context.fact(index + 2) for index in range(carried)]
    states = _settle(context, body, body.inputs[2:], initial, body.outputs[1 : carried + 1])
    _set_states(context, states)
    for index, value in enumerate(body.outputs[carried + 1 :], carried):
        _set_yield(context, index, facts.fact(value), 0, fresh())


@infers("Scan")
def infer_scan(context: Context) -> None:
    """The state variables as they stay, and what each iteration yields along an axis."""
    body = body_of(context, "body")
    count = context.integer("num_scan_inputs", 0)
    states = len(context.inputs) - count
    if context.version < 9 or states < 0 or len(body.inputs) != len(context.inputs):
        _walk_unknown(context, body)
        return
    axes = context.integers("scan_input_axes") or (0,) * count
    length: Dim = fresh()
    for index, value in enumerate(body.inputs[states:]):
        fact = context.fact(states + index)
        shape = None
        if fact.shape is not None:
            axis = normalize_axis(axes[index], len(fact.shape))
            length = fact.shape[axis]
            shape = fact.shape[:axis] + fact.shape[axis + 1 :]
        context.facts.set_fact(value, Fact(fact.dtype, shape))
    initial = [context.fact(index) for index in range(states)]
    settled = _settle(context, body, body.inputs[:states], initial, body.outputs[:states])
    _set_states(context, settled)
    out_axes = context.integers("scan_output_axes") or (0,) * (len(body.outputs) - states)
    for index, value in enumerate(body.outputs[states:]):
        fact = context.facts.fact(value)
        _set_yield(context, states + index, fact, out_axes[index], length)


def _settle(
    context: Context,
    body: ir.Graph,
    inputs: Sequence[ir.Value],
    initial: Sequence[Fact],
    results: Sequence[ir.Value],
) -> list[Fact]:
    """Infers the body under shapes of the carried variables that an iteration keeps."""
    facts = context.facts
    loose: set[Dim] = set()
    assumed = [_variable(fact, fact.shape) for fact in initial]
    for attempt in range(_ROUNDS):
        for value, fact in zip(inputs, assumed, strict=True):
            facts.set_fact(value, _variable(fact, fact.shape))
        facts.walk(body)
        found = [facts.fact(value) for value in results]
        kept = [_kept(a.shape, b.shape, loose) for a, b in zip(assumed, found, strict=True)]
        if attempt == _ROUNDS - 2:
            kept = [None] * len(kept)
        if all(shape == fact.shape for shape, fact in zip(kept, assumed, strict=True)):
            break
        assumed = [_variable(fact, shape) for fact, shape in zip(assumed, kept, strict=True)]
    return [_variable(fact, _without(fact.shape, loose)) for fact in assumed]


def _variable(fact: Fact, shape: Shape | None) -> Fact:
    result = Fact(fact.dtype, shape)
    result.container = fact.container
    return result


def _kept(assumed: Shape | None, found: Shape | None, loose: set[Dim]) -> Shape | None:
    """What an iteration keeps of a shape; each dimension it changes becomes an unknown, noted as loose."""
    if assumed is None or found is None or len(assumed) != len(found):
        return None
    result: list[Dim] = []
    for a, b in zip(assumed, found, strict=True):
        if a == b or a in loose:
            result.append(a)
        else:
            result.append(fresh())
            loose.add(result[-1])
    return tuple(result)


def _without(shape: Shape | None, loose: set[Dim]) -> Shape | None:
    """A shape outside of the body, where its loose dimensions mean nothing."""
    return None if shape is None else tuple(fresh() if dim in loose else dim for dim in shape)


def _set_states(context: Context, states: Sequence[Fact]) -> None:
    for index, fact in enumerate(states):
        if index < len(context.outs):
            context.outs[index] = fact


def _set_yield(context: Context, index: int, fact: Fact, axis: int, length: Dim) -> None:
    """An output that gathers one tensor from each iteration."""
    context.output(index, fact.dtype)
    if fact.shape is None or index >= len(context.outs):
        return
    # Without an iteration there is nothing that a symbolic dimension would have to equal.
    inner = tuple(dim if isinstance(dim, int) else fresh() for dim in fact.shape)
    axis = normalize_axis(axis, len(inner) + 1)
    context.outs[index].shape = (*inner[:axis], length, *inner[axis:])


def _walk_unknown(context: Context, body: ir.Graph) -> None:
    for value in body.inputs:
        context.facts.set_fact(value, Fact(value.dtype))
    context.facts.walk(body)


@infers("SequenceMap")
def infer_sequence_map(context: Context) -> None:
    """Sequences of what the body gives for each element."""
    body = body_of(context, "body")
    _walk_unknown(context, body)
    for fact, value in zip(context.outs, body.outputs, strict=True):
        dtype = context.facts.dtype(value)
        if dtype is not None:
            fact.container = ir.SequenceType(ir.TensorType(dtype))
