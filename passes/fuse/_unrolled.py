"""Steps of a recurrent cell, each fed with what the one before made, become one operator.

What a step is, a cell tells; stringing steps together, what they may not have in common with the rest of the graph, and
the operator with its weights are the same for all cells. Fewer than four steps are left as they are: on onnxruntime's
CPU a single step takes the same time either way; sixteen of 128 numbers took an LSTM 0.13 ms as one operator against
0.25 ms, and a GRU 0.17 ms against 0.57 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.pipeline.base import Context
from onnxopt.rewrite import Builder, Rewrite
from onnxopt.rewrite.matcher import uniform
from onnxopt.rewrite.uses import use_count

from ._channels import Array
from ._gates import EqualTensors, Gate
from ._linear import Block
from ._sequence import sequence_of

FEWEST = 4
"""How many steps are worth an operator."""
_AXES_AS_INPUT = 13


@dataclass(frozen=True)
class Step:
    """One step of a cell.

    Attributes:
        data: What goes in, ``[batch, inputs]``.
        before: The hidden state, and whatever state the cell has besides, as it goes in, ``[batch, size]`` each.
        after: The same as it comes out.
        gates: The gates in the operator's order.
        attributes: The operator's attributes.
        nodes: The nodes of the step, the one that makes the hidden state first.
    """

    data: ir.Value
    before: tuple[ir.Value, ...]
    after: tuple[ir.Value, ...]
    gates: tuple[Gate, ...]
    attributes: tuple[tuple[str, Any], ...]
    nodes: tuple[ir.Node, ...] = field(compare=False)

    @property
    def cell(self) -> tuple[object, ...]:
        """What steps of one sequence share."""
        return (*self.gates, *self.attributes)


@dataclass(frozen=True)
class Cell:
    """A kind of recurrent cell.

    Attributes:
        op_type: The operator that runs a sequence of steps.
        root: The operator that makes the hidden state of a step.
        sigmoids: How many ``Sigmoid`` nodes a step has at least.
        read: Yields the steps whose hidden state a node may make.
    """

    op_type: str
    root: str
    sigmoids: int
    read: Callable[[Facts, ir.Node], Iterator[Step]]


def fuse_unrolled(context: Context, name: str, cell: Cell) -> int:
    """Fuses every sequence of a cell's steps, in every graph, for the pass ``name``; returns how many."""
    fused = 0
    for graph in list(context.editor.scopes.graphs()):
        if sum(n.op_type == "Sigmoid" for n in graph) >= cell.sigmoids * FEWEST:
            for steps in _sequences(_steps(context.facts, graph, cell)):
                fused += _fuse(context, name, cell, graph, steps)
    return fused


def number_throughout(facts: Facts, value: ir.Value) -> float | None:
    """Returns the one number that all elements of a value equal, whatever its shape, None where that is not known."""
    node = value.producer()
    if node is not None and node.domain == "" and node.op_type == "ConstantOfShape":
        tensor = node.attributes.get_tensor("value")
        return 0.0 if tensor is None else float(tensor.numpy().reshape(-1)[0])
    if node is not None and node.domain == "" and node.op_type == "Expand":
        value = node.inputs[0] or value
    return uniform(facts, value)


def _steps(facts: Facts, graph: ir.Graph | ir.Function, cell: Cell) -> list[Step]:
    found: list[Step] = []
    tensors = EqualTensors()
    for node in graph:
        if node.op_type == cell.root and node.domain == "":
            # Operands that commute give the same step more than once.
            fitting = dict.fromkeys(s for s in cell.read(facts, node) if _fits(facts, s))
            found.extend(
                replace(s, gates=tuple(g.with_tensors(tensors.one) for g in s.gates))
                for s in fitting
            )
    return found


def _fits(facts: Facts, step: Step) -> bool:
    """Whether types and shapes are those of the operator, with nothing broadcast."""
    shape, data = facts.shape(step.after[0]), facts.shape(step.data)
    if shape is None or data is None or len(shape) != 2 or len(data) != 2:
        return False
    size = shape[1]
    return (
        facts.dtype(step.after[0]) == ir.DataType.FLOAT
        and all(facts.shape(v) == shape for v in step.after)
        and all(facts.shape(v) == shape or number_throughout(facts, v) == 0 for v in step.before)
        and data[0] == shape[0]
        and all(gate.size == size and gate.hidden.inputs.size == size for gate in step.gates)
        and all(gate.data.inputs.size == data[1] for gate in step.gates)
    )


def _sequences(steps: Sequence[Step]) -> list[list[Step]]:
    """Strings steps together, each fed with what the one before made; sequences that end last come first.

    A sequence may be fed with the results of one that ends before it, which are other values once that one is fused.
    """
    after: dict[tuple[object, ...], list[Step]] = {}
    for step in steps:
        after.setdefault((step.before, step.cell), []).append(step)
    fed = {(step.after, step.cell) for step in steps}
    found = []
    for first in steps:
        if (first.before, first.cell) in fed:
            continue
        chain = [first]
        while len(following := after.get((chain[-1].after, first.cell), [])) == 1:
            chain.append(following[0])
        if len(chain) >= FEWEST:
            found.append(chain)
    places = {step.after[0]: place for place, step in enumerate(steps)}
    return sorted(found, key=lambda chain: places[chain[-1].after[0]], reverse=True)


def _refusal(context: Context, graph: ir.Graph | ir.Function, steps: Sequence[Step]) -> str | None:
    places = {node: i for i, node in enumerate(graph)}
    inner = {node for step in steps for node in step.nodes}
    if not all(node in places for node in inner):
        return "the steps are in different graphs"
    if (context.facts.opset(steps[0].nodes[0]) or 0) < _AXES_AS_INPUT:
        return "it needs opset 13"
    if any(_read_by_others(state, inner) for s in steps[:-1] for state in s.after[1:]):
        return "an inner state is read by others"
    results = {v for step in steps for v in step.after}
    within = (v for node in inner for v in node.outputs if v not in results)
    if any(_read_by_others(value, inner) for value in within):
        return "a gate is read by others"
    last = places[steps[-1].nodes[0]]
    for value in results:
        readers = (node for node, _ in value.uses() if node not in inner)
        if any(places.get(node, -1) < last for node in readers):
            return "a result is read before the last step, which may depend on it"
    return None


def _read_by_others(value: ir.Value, inner: set[ir.Node]) -> bool:
    return value.is_graph_output() or any(node not in inner for node, _ in value.uses())


def _fuse(
    context: Context,
    name: str,
    cell: Cell,
    graph: ir.Graph | ir.Function,
    steps: Sequence[Step],
) -> int:
    anchor = steps[-1].nodes[0]
    reason = _refusal(context, graph, steps)
    if reason is not None:
        context.stats.decline(name, anchor.name or "", reason)
        return 0
    build = context.editor.builder(anchor)
    rewrite = Rewrite(
        name,
        anchor,
        _results(context.facts, build, cell, steps),
        [node for step in steps[::-1] for node in step.nodes],
        tuple(build.nodes),
        tuple(build.constants),
    )
    if context.editor.commit(rewrite) is None:
        build.discard()
        return 0
    return 1


def _results(
    facts: Facts, build: Builder, cell: Cell, steps: Sequence[Step]
) -> list[tuple[ir.Value, ir.Value]]:
    """Builds the operator; returns what stands for each result that others read."""
    first, last, front = steps[0], steps[-1], build.ints("axes", [0])
    # What is left out is zero.
    initial = [
        None if number_throughout(facts, v) == 0 else build.op("Unsqueeze", v, front)
        for v in first.before
    ]
    outputs = build.ops(
        cell.op_type,
        sequence_of(facts, build, [step.data for step in steps]),
        *_weights(build, first.gates),
        None,
        *initial,
        outputs=1 + len(last.after),
        hidden_size=first.gates[0].size,
        **dict(first.attributes),
    )
    found = [(last.after[0], build.op("Squeeze", outputs[1], front))]
    for state, made in zip(last.after[1:], outputs[2:], strict=True):
        if _is_read(state):
            found.append((state, build.op("Squeeze", made, front)))
    inner = {node for step in steps for node in step.nodes}
    read = [i for i, s in enumerate(steps[:-1]) if _read_by_others(s.after[0], inner)]
    if read:
        all_steps = build.op("Squeeze", outputs[0], build.ints("axes", [1]))
        found += [
            (steps[i].after[0], build.op("Gather", all_steps, build.ints("step", i), axis=0))
            for i in read
        ]
    return found


def _is_read(value: ir.Value) -> bool:
    """Whether the last state has readers besides the step's own hidden state, which reads it once."""
    return use_count(value) > 1 or value.is_graph_output()


def _weights(build: Builder, gates: Sequence[Gate]) -> list[ir.Value]:
    """Builds the weights of data and hidden state, and the biases of both."""
    made = []
    for blocks in ([gate.data for gate in gates], [gate.hidden for gate in gates]):
        shape = (1, sum(b.outputs.size for b in blocks), blocks[0].inputs.size)
        made.append(build.lazy("weight", ir.DataType.FLOAT, shape, _stacked(gates, blocks)))
    halves = [[gate.bias(gate.shifts) for gate in gates]]
    halves.append([gate.bias(gate.hidden_shifts) for gate in gates])
    bias = np.concatenate([part for half in halves for part in half])
    made.append(build.const("bias", bias[None], ir.DataType.FLOAT))
    return made


def _stacked(gates: Sequence[Gate], blocks: Sequence[Block]) -> Callable[[], Array]:
    def read() -> Array:
        rows = [gate.weight(block) for gate, block in zip(gates, blocks, strict=True)]
        return np.concatenate(rows)[None]

    return read
