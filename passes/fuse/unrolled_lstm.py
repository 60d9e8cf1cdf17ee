"""``LSTM`` out of its unrolled steps, as torch exports a loop over ``LSTMCell``.

A step is ``c' = sigmoid(f) c + sigmoid(i) tanh(g)``, ``h' = sigmoid(o) tanh(c')`` with the gates ``[i, f, g, o] = W x +
b + R h + d``. Four steps or more that share their weights, each fed with what the one before made, become one operator,
whose gates come in the order ``i, o, f, g``. Source: https://onnx.ai/onnx/operators/onnx__LSTM.html.

Declines where a step's input depends on the result of an earlier one, and where an inner state is read by others. A
single step is left as it is: on onnxruntime's CPU it takes the same time either way; sixteen of 128 numbers took 0.13 ms
as one operator against 0.25 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.pipeline.base import Context, Pass
from onnxopt.rewrite import Builder, Const, Op, Rewrite, op
from onnxopt.rewrite.matcher import Bindings, Matcher
from onnxopt.rewrite.uses import use_count

from ._channels import Array, dims

_FEWEST = 4
_AXES_AS_INPUT = 13
_ORDER = (0, 3, 1, 2)
_PLAIN: dict[str, Any] = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1}
_GATES = op.Add(
    op.Gemm("x", Const("w"), Const("b"), **_PLAIN), op.Gemm("h", Const("r"), Const("d"), **_PLAIN)
)


def _gate(index: int) -> Op:
    return op.Split(_GATES, ..., bind="split", output=index)


_STATE = op.Add(
    op.Mul(op.Sigmoid(_gate(1)), "c"),
    op.Mul(op.Sigmoid(_gate(0)), op.Tanh(_gate(2))),
    bind="state",
)
_STEP = op.Mul(op.Sigmoid(_gate(3)), op.Tanh(_STATE), bind="step")


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        values: The values ``x``, ``h`` and ``c`` that go in, and the weights ``w``, ``r``, ``b``, ``d``.
        hidden: ``h'``.
        state: ``c'``.
        nodes: The nodes of the step.
    """

    values: dict[str, ir.Value]
    hidden: ir.Value
    state: ir.Value
    nodes: tuple[ir.Node, ...]

    @property
    def weights(self) -> tuple[ir.Value, ...]:
        """What steps of one sequence share."""
        return tuple(self.values[name] for name in ("w", "r", "b", "d"))


@dataclass(frozen=True)
class FuseUnrolledLstm(Pass):
    """Fuses unrolled steps into ``LSTM``."""

    name: ClassVar[str] = "fuse-unrolled-lstm"
    summary: ClassVar[str] = "Fuse the unrolled steps of an LSTM that share their weights into one."
    exact: ClassVar[bool] = False

    def run(self, context: Context) -> int:
        """Fuses every sequence, in every graph; returns how many."""
        fused = 0
        for graph in list(context.editor.scopes.graphs()):
            if sum(n.op_type == "Sigmoid" for n in graph) >= 3 * _FEWEST:
                sequences = _sequences(_steps(context.facts, graph))
                fused += sum(_fuse(context, graph, steps) for steps in sequences)
        return fused


def _steps(facts: Facts, graph: ir.Graph | ir.Function) -> list[Step]:
    matcher = Matcher(facts)
    found = (b for node in graph if node.op_type == "Mul" for b in matcher.match(_STEP, node))
    return [step for step in map(_step, found) if _fits(facts, step)]


def _step(bindings: Bindings) -> Step:
    values = {name: value for name, value in bindings.values.items() if value is not None}
    nodes = dict.fromkeys(node for node, _ in bindings.inner)
    step, state = bindings.nodes["step"], bindings.nodes["state"]
    return Step(values, step.outputs[0], state.outputs[0], tuple(nodes))


def _fits(facts: Facts, step: Step) -> bool:
    """Whether types and shapes are those of the operator, with nothing broadcast."""
    split = next(n for n in step.nodes if n.op_type == "Split")
    gates = [facts.shape(v) for v in split.outputs]
    recurrent, hidden = facts.static_shape(step.values["r"]), facts.shape(step.values["h"])
    if recurrent is None or hidden is None or len(hidden) != 2 or hidden[1] != recurrent[1]:
        return False
    if any(value.const_value is None for value in step.weights):
        return False
    size = recurrent[1]
    data = facts.shape(step.values["x"])
    return (
        recurrent == (4 * size, size)
        and facts.dtype(step.hidden) == ir.DataType.FLOAT
        and gates == [hidden] * 4
        and facts.shape(step.values["c"]) == hidden
        and data is not None
        and data[0] == hidden[0]
        and all(facts.static_shape(step.values[n]) == (4 * size,) for n in ("b", "d"))
    )


def _sequences(steps: Sequence[Step]) -> list[list[Step]]:
    """Strings steps together, each fed with what the one before made."""
    after: dict[tuple[ir.Value, ...], list[Step]] = {}
    for step in steps:
        key = (step.values["h"], step.values["c"], *step.weights)
        after.setdefault(key, []).append(step)
    fed = {(s.hidden, s.state, *s.weights) for s in steps}
    found = []
    for first in steps:
        if (first.values["h"], first.values["c"], *first.weights) in fed:
            continue
        chain = [first]
        while (
            len(following := after.get((chain[-1].hidden, chain[-1].state, *first.weights), []))
            == 1
        ):
            chain.append(following[0])
        if len(chain) >= _FEWEST:
            found.append(chain)
    return found


def _refusal(context: Context, graph: ir.Graph | ir.Function, steps: Sequence[Step]) -> str | None:
    places = {node: i for i, node in enumerate(graph)}
    inner = {node for step in steps for node in step.nodes}
    if not all(node in places for node in inner):
        return "the steps are in different graphs"
    if (context.facts.opset(steps[0].nodes[0]) or 0) < _AXES_AS_INPUT:
        return "it needs opset 13"
    if any(use_count(s.state) != 2 or s.state.is_graph_output() for s in steps[:-1]):
        return "an inner state is read by others"
    last = places[steps[-1].nodes[0]]
    for value in (v for step in steps for v in (step.hidden, step.state)):
        readers = (node for node, _ in value.uses() if node not in inner)
        if any(places.get(node, -1) < last for node in readers):
            return "a result is read before the last step, which may depend on it"
    return None


def _fuse(context: Context, graph: ir.Graph | ir.Function, steps: Sequence[Step]) -> int:
    anchor = steps[-1].hidden.producer()
    assert anchor is not None
    reason = _refusal(context, graph, steps)
    if reason is not None:
        context.stats.decline(FuseUnrolledLstm.name, anchor.name or "", reason)
        return 0
    build = context.editor.builder(anchor)
    rewrite = Rewrite(
        FuseUnrolledLstm.name,
        anchor,
        _results(build, steps),
        [node for step in steps[::-1] for node in step.nodes],
        tuple(build.nodes),
        tuple(build.constants),
    )
    if context.editor.commit(rewrite) is None:
        build.discard()
        return 0
    return 1


def _results(build: Builder, steps: Sequence[Step]) -> list[tuple[ir.Value, ir.Value]]:
    """Builds the operator; returns what stands for each result that others read."""
    first, last, front = steps[0], steps[-1], build.ints("axes", [0])
    rows = [build.op("Unsqueeze", step.values["x"], front) for step in steps]
    initial = [build.op("Unsqueeze", first.values[name], front) for name in ("h", "c")]
    weights = [_weight(build, first.values[name]) for name in ("w", "r")]
    size = dims(weights[1].const_value)[2] if weights[1].const_value is not None else 0
    outputs = build.ops(
        "LSTM",
        build.op("Concat", *rows, axis=0),
        *weights,
        _bias(build, first),
        None,
        *initial,
        outputs=3,
        hidden_size=size,
    )
    found = [(last.hidden, build.op("Squeeze", outputs[1], front))]
    if _is_read(last.state):
        found.append((last.state, build.op("Squeeze", outputs[2], front)))
    read = [i for i, step in enumerate(steps[:-1]) if _is_read(step.hidden)]
    if read:
        all_steps = build.op("Squeeze", outputs[0], build.ints("axes", [1]))
        found += [
            (steps[i].hidden, build.op("Gather", all_steps, build.ints("step", i), axis=0))
            for i in read
        ]
    return found


def _is_read(value: ir.Value) -> bool:
    """Whether a result has readers besides the sequence itself, which reads it once."""
    return use_count(value) > 1 or value.is_graph_output()


def _reordered(array: Array) -> Array:
    """Puts the rows of the gates into the operator's order."""
    blocks = np.split(array, 4)
    return np.concatenate([blocks[i] for i in _ORDER])


def _weight(build: Builder, value: ir.Value) -> ir.Value:
    tensor = value.const_value
    assert tensor is not None
    return build.lazy(
        "weight", tensor.dtype, (1, *dims(tensor)), lambda: _reordered(tensor.numpy())[None]
    )


def _bias(build: Builder, step: Step) -> ir.Value:
    parts = []
    for name in ("b", "d"):
        tensor = step.values[name].const_value
        assert tensor is not None
        parts.append(_reordered(tensor.numpy()))
    return build.const("bias", np.concatenate(parts)[None])
