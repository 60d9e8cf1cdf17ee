"""Deciding which nodes compute in integers, and which tensors are quantised for that.

A weighted operator computes in integers wherever its weights are constant. Operators that join or move values follow where
all they read is quantised already and what they make leads to a weighted operator: on their own they cost more in
conversions than they save.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.quantization.affine import Affine
from onnxopt.quantization.table import Quantization, Weighted
from onnxopt.quantization.types import qtype

from .._selection import Selection
from ._fits import absorbs, loads, misfit

FLOAT = ir.DataType.FLOAT
MARKS = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"})


@dataclass
class Plan:
    """What is to be quantised.

    Attributes:
        integer: Nodes that compute in integers, in order, with their form where they have weights.
        results: What a node's result is once the operator after it is absorbed, by node.
        absorbed: The operator that is absorbed, by that result.
        sums: The Add of a constant vector after a product, by the product: the runtime makes one operator of both.
        tensors: Values that are quantised, in order, each with the one whose scale it shares (itself mostly).
        reasons: Why a node that could have been quantised is not.
        apart: Quantised values between which and the QuantizeLinear something must stand, for what makes them to stay in
            float: runtimes make an integer kernel of what lies between quantised values, be it meant or not.
    """

    integer: dict[ir.Node, Weighted | None] = field(default_factory=dict)
    results: dict[ir.Node, ir.Value] = field(default_factory=dict)
    absorbed: dict[ir.Value, ir.Node] = field(default_factory=dict)
    sums: dict[ir.Node, ir.Node] = field(default_factory=dict)
    tensors: dict[ir.Value, ir.Value] = field(default_factory=dict)
    reasons: dict[ir.Node, str] = field(default_factory=dict)
    apart: set[ir.Value] = field(default_factory=set)

    @property
    def roots(self) -> list[ir.Value]:
        """The values of which ranges are needed."""
        return list(dict.fromkeys(self.tensors.values()))

    @property
    def made(self) -> set[ir.Value]:
        """The quantised values that nodes make in integers."""
        ends = set(self.results.values())
        return {v for v in self.tensors if v in ends or v.producer() in self.integer}

    def weighted(self) -> Iterable[tuple[ir.Node, Weighted]]:
        """The nodes with weights."""
        return ((node, form) for node, form in self.integer.items() if form is not None)


class Planner:
    """Makes a plan for one graph.

    Args:
        facts: Types, shapes and constants.
        table: What the target computes in integers.
        selection: What the user wants.
    """

    def __init__(self, facts: Facts, table: Quantization, selection: Selection) -> None:
        self._facts = facts
        self._table = table
        self._selection = selection
        self._plan = Plan()
        self._available: set[ir.Value] = set()
        self._barred: set[ir.Value] = set()

    def plan(self, graph: ir.Graph) -> Plan:
        """Decides for a graph whose nodes are in order."""
        for node in graph:
            self._consider(node)
        self._prune()
        for node in self._plan.integer:
            self._quantise_around(node)
        self._set_apart()
        return self._plan

    def stored(self, affine: Affine) -> Affine:
        """How the target wants activations stored of which the scale is chosen."""
        other = self._table.stored.get(affine.qtype.name)
        return affine if other is None else affine.shifted(qtype(other))

    # Which nodes

    def _consider(self, node: ir.Node) -> None:
        if node.domain not in ("", "ai.onnx"):
            return
        form = self._table.weighted.get(node.op_type)
        follows = node.op_type in self._table.joined or node.op_type in self._table.carried
        if not loads(node):
            self._barred.update(node.outputs)
        if form is None and not (follows and self._follows(node)):
            return
        reason = self._selection.refusal(node) or (self._refusal(node, form) if form else "")
        if not reason and form is not None and node.inputs[0] in self._barred:
            reason = (
                "what it reads comes from an operator that does not load between quantised values"
            )
        reason = reason or misfit(self._facts, node, form)
        if reason:
            self._plan.reasons[node] = reason
            return
        self._plan.integer[node] = form
        result = self._result(node)
        self._plan.results[node] = result
        self._available.update([result] if form or len(node.outputs) == 1 else node.outputs)

    def _refusal(self, node: ir.Node, form: Weighted) -> str:
        data, weight = node.inputs[0], node.inputs[form.weight]
        if self._facts.dtype(data) != FLOAT:
            return "its operand is not float32"
        if weight is None or self._facts.const_tensor(weight) is None:
            return "its weights are not constant"
        if self._facts.const_tensor(data) is not None:
            return "it reads only constants"
        if any(v is not None and _is_mark(v.producer()) for v in node.inputs):
            return "it is quantised already"
        rank = self._facts.rank(weight)
        if node.op_type == "MatMul" and rank != 2:
            return "its weights are not a matrix"
        if node.op_type == "Gemm":
            return self._gemm_refusal(node)
        return ""

    def _gemm_refusal(self, node: ir.Node) -> str:
        if node.attributes.get_float("alpha", 1.0) != 1.0:
            return "alpha is not 1"
        if node.attributes.get_float("beta", 1.0) != 1.0:
            return "beta is not 1"
        if node.attributes.get_int("transA", 0):
            return "its operand is transposed"
        return ""

    def _follows(self, node: ir.Node) -> bool:
        """Whether all that a node computes with is quantised already."""
        data = self.data(node)
        varying = [v for v in data if self._facts.const_tensor(v) is None]
        return (
            bool(varying)
            and all(v in self._available for v in varying)
            and all(self._facts.dtype(v) == FLOAT for v in data)
        )

    def data(self, node: ir.Node) -> list[ir.Value]:
        """The operands that a node computes with, other than weights, shapes and the like."""
        if node in self._plan.integer and self._plan.integer[node] is not None:
            return [v for v in node.inputs[:1] if v is not None]
        if node.op_type in self._table.carried:
            return [v for v in node.inputs[:1] if v is not None]
        return [v for v in node.inputs if v is not None]

    def _result(self, node: ir.Node) -> ir.Value:
        """What stands after an operator that the quantisation of the result absorbs."""
        result = node.outputs[0]
        if node.op_type in self._table.carried or len(node.outputs) != 1:
            return result
        total = self._sum(node) if node.op_type == "MatMul" else None
        if total is not None:
            self._plan.sums[node] = total
            result = total.outputs[0]
        after = self._only_reader(result)
        if after is None or not self._limits(after):
            return result
        if not absorbs(self._facts, after) or self._selection.refusal(after):
            return result
        self._plan.absorbed[after.outputs[0]] = after
        return after.outputs[0]

    def _sum(self, product: ir.Node) -> ir.Node | None:
        """The Add of a constant vector that alone reads a product."""
        after = self._only_reader(product.outputs[0], (0, 1))
        if after is None or after.op_type != "Add" or after.domain or len(after.inputs) != 2:
            return None
        other = next((v for v in after.inputs if v is not product.outputs[0]), None)
        if other is None or self._facts.const_tensor(other) is None:
            return None
        weight = self._facts.static_shape(product.inputs[1])
        return after if weight and self._facts.static_shape(other) == weight[-1:] else None

    def _only_reader(self, value: ir.Value, places: tuple[int, ...] = (0,)) -> ir.Node | None:
        uses = list(value.uses())
        if len(uses) != 1 or value.is_graph_output():
            return None
        node, index = uses[0]
        producer = value.producer()
        same = producer is not None and node.graph is producer.graph
        return node if same and index in places else None

    # Which of those pay

    def _prune(self) -> None:
        """Leaves out what follows but leads to no operator with weights."""
        leads: set[ir.Value] = set()
        for node in reversed(list(self._plan.integer)):
            form = self._plan.integer[node]
            outputs = [self._plan.results[node], *node.outputs[1:]]
            if form is None and not any(v in leads for v in outputs):
                del self._plan.integer[node]
                self._plan.absorbed.pop(self._plan.results.pop(node), None)
                continue
            leads.update(self.data(node))

    # Which tensors

    def _quantise_around(self, node: ir.Node) -> None:
        tensors, form = self._plan.tensors, self._plan.integer[node]
        data = [v for v in self.data(node) if self._facts.const_tensor(v) is None]
        for value in data:
            tensors.setdefault(value, value)
        result = self._plan.results[node]
        if node.op_type in self._table.carried:
            root = tensors[data[0]]
            for value in node.outputs:
                tensors[value] = root
        elif form is None or form.output or self._read_as_integers(result):
            tensors.setdefault(result, result)
        elif result in self._plan.absorbed:
            # Nothing quantises the result, so nothing takes the operator's place.
            del self._plan.absorbed[result]
            last = self._plan.sums.get(node, node)
            self._plan.results[node] = last.outputs[0]

    def _set_apart(self) -> None:
        """Finds the results of what the user excludes, or does not include, that an integer kernel could make."""
        made = self._plan.made
        for value in self._plan.tensors:
            node = None if value in made else value.producer()
            while node is not None and not self._left_out(node):
                before = node.inputs[0] if self._limits(node) else None
                node = None if before is None else before.producer()
            if node is None or not node.inputs:
                continue
            if self._limits(node) or all(v is None or v in made for v in node.inputs):
                self._plan.apart.add(value)

    def _left_out(self, node: ir.Node) -> bool:
        """Whether the user wants it in float; not being included, only what computes: the rest loses nothing in integers."""
        if self._limits(node) or node.op_type in self._table.carried:
            return bool(self._selection.excluding(node))
        return bool(self._selection.refusal(node))

    def _limits(self, node: ir.Node) -> bool:
        """Whether it is an operator that the quantisation of its result absorbs."""
        return node.op_type in self._table.absorbed and not node.domain

    def _read_as_integers(self, value: ir.Value) -> bool:
        return any(
            reader in self._plan.integer and value in self.data(reader)
            for reader, _ in value.uses()
        )


def _is_mark(node: ir.Node | None) -> bool:
    return node is not None and node.op_type in MARKS
