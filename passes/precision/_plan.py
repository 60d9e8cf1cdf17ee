"""Which nodes compute in the shorter type.

Some nodes must stay in single precision: the user, the target, the schema or a constant says so, or they stand
beside quantisation. From there the answer spreads until nothing changes, towards few conversions:

- What only moves values takes the type of what is around it.
- What only reads values (comparisons, conversions to integers) reads them as they come.
- Numbers made of integers alone (positions, sizes) stay single where all that reads them does.
- What is cheap and stands between single-precision nodes stays with them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import onnx_ir as ir

from onnxopt.analysis.effects import is_function_call, is_random, subgraphs
from onnxopt.analysis.facts import Facts
from onnxopt.rewrite.scopes import owner

from ._constants import Survey, survey
from ._kinds import CONTROL, HEAVY, MOVES, NARROWS, WIDENS
from ._operands import AS_IT_COMES, SINGLE, Operands, operands, signature, spelt
from ._request import Request

_NEAR_QUANTISED = ("DequantizeLinear", "QuantizeLinear")


@dataclass
class Plan:
    """The decision for every node that touches single-precision values.

    Attributes:
        to: The shorter type.
        operands: What may change, by node.
        short: The nodes that compute in the shorter type.
        reasons: Why a node stays in single precision, for those that do by themselves.
        surveys: What was found in the constants looked at.
        converted: The main graph's inputs and outputs whose type changes.
        holders: The node in whose attribute a graph stands.
    """

    to: ir.DataType
    operands: dict[ir.Node, Operands] = field(default_factory=dict)
    short: set[ir.Node] = field(default_factory=set)
    reasons: dict[ir.Node, str] = field(default_factory=dict)
    surveys: dict[ir.Value, Survey] = field(default_factory=dict)
    converted: frozenset[ir.Value] = frozenset()
    holders: dict[ir.Graph, ir.Node] = field(default_factory=dict)

    @property
    def unsupported(self) -> list[ir.Node]:
        """The nodes whose schema does not allow the shorter type."""
        return [node for node in self.reasons if self.operands[node].unsupported]

    @property
    def pays(self) -> bool:
        """Whether what takes the time becomes faster, or there is nothing such and other nodes do."""
        heavy = [node for node in self.operands if node.op_type in HEAVY]
        return any(node in self.short for node in heavy or self.short)

    def is_short(self, value: ir.Value) -> bool:
        """Whether a value that is no constant has the shorter type afterwards."""
        node = value.producer()
        if node is None:
            return value in self.converted
        return node in self.short and value.index() in self.operands[node].outputs

    def wants(self, node: ir.Node, index: int) -> ir.DataType | None:
        """The type in which a node reads a single-precision operand; None for as it comes."""
        if index == 0 and node.domain == "" and node.op_type in AS_IT_COMES:
            return None
        if node in self.short and index in self.operands[node].inputs:
            return self.to
        return SINGLE

    def returned_as(self, graph: ir.Graph, index: int) -> ir.DataType:
        """The type in which a graph returns a single-precision value, by its position."""
        node = self.holders.get(graph)
        if node is None:
            return self.to if graph.outputs[index] in self.converted else SINGLE
        short = node in self.short and index in self.operands[node].outputs
        return self.to if short else SINGLE


def make_plan(facts: Facts, graphs: list[ir.Graph], request: Request) -> Plan:
    """Decides for every node.

    Args:
        facts: What is known of the model.
        graphs: The main graph and those inside of its nodes, outer ones first.
        request: What was asked for.
    """
    plan = Plan(request.to, converted=request.converted)
    for graph in graphs:
        for node in graph:
            plan.holders.update(dict.fromkeys(subgraphs(node), node))
            _consider(plan, node, facts, request)
    if request.to == ir.DataType.FLOAT16:
        _hold_wide(plan, graphs)
    _Spread(plan, facts, graphs).run()
    return plan


def _consider(plan: Plan, node: ir.Node, facts: Facts, request: Request) -> None:
    """Works out what of a node may change, and whether it must stay by itself."""
    if node.domain == "" and node.op_type == "Constant":
        return
    if node.domain == "" and node.op_type in CONTROL:
        found = _control(node, facts, request.to)
    elif is_function_call(node, facts.model):
        found = Operands(reason="it calls a function of the model")
    else:
        found = operands(node, facts, request.to, request.kept_inputs(node))
    touches = any(v is not None and facts.dtype(v) == SINGLE for v in (*node.inputs, *node.outputs))
    if not touches and not found.inputs and not found.outputs:
        return
    plan.operands[node] = found
    reason = (
        found.reason
        or ("another type draws other numbers" if is_random(node) else "")
        or _inherited(plan, node, request)
        or _quantised(node)
        or _held(plan, node, found, facts)
    )
    if reason:
        plan.reasons[node] = reason
    elif found.inputs or found.outputs:
        plan.short.add(node)


def _control(node: ir.Node, facts: Facts, to: ir.DataType) -> Operands:
    """What a node with bodies returns; what it carries from step to step stays as it is."""
    if node.op_type != "If":
        return Operands(reason="it carries values from step to step")
    known = signature("", "If", facts.opset(node) or 0)
    if known is None or f"tensor({spelt(to)})" not in known.allowed["V"]:
        return Operands(reason=f"the operator does not take {spelt(to)} at this opset")
    singles = frozenset(v.index() or 0 for v in node.outputs if facts.dtype(v) == SINGLE)
    for graph in subgraphs(node):
        singles -= {i for i, v in enumerate(graph.outputs) if facts.dtype(v) != SINGLE}
    return Operands(outputs=singles)


def _inherited(plan: Plan, node: ir.Node, request: Request) -> str:
    """Why a node is kept: for itself, or because the node whose body it lies in is named."""
    reason = request.kept(node)
    around = plan.holders.get(owner(node))
    while around is not None and not reason:
        reason = "asked for" if around in request.keep else ""
        around = plan.holders.get(owner(around))
    return reason


def _quantised(node: ir.Node) -> str:
    readers = (user for value in node.outputs for user, _ in value.uses())
    makers = (v.producer() for v in node.inputs if v is not None)
    near = (n for n in (*makers, *readers) if n is not None and n.domain == "")
    if any(n.op_type in _NEAR_QUANTISED for n in near):
        return "it stands beside quantisation"
    return ""


def _held(plan: Plan, node: ir.Node, found: Operands, facts: Facts) -> str:
    """Why the constants a node reads keep it in single precision, or ''."""
    for index in sorted(found.inputs):
        value = node.inputs[index]
        tensor = facts.const_tensor(value)
        if tensor is None or value is None:
            continue
        if value not in plan.surveys:
            plan.surveys[value] = survey(tensor, plan.to)
        if plan.surveys[value].reason and node.op_type != "Clip":
            return plan.surveys[value].reason
    return ""


def _hold_wide(plan: Plan, graphs: list[ir.Graph]) -> None:
    """Keeps numbers that have become large in single precision until they are usual ones again.

    The mean of squares of a normalisation, the sum of exponentials of a softmax: rounding between would overflow.
    """
    wide: set[ir.Value] = set()
    for graph in graphs:
        for node in graph:
            if node not in plan.operands or node.op_type in HEAVY or node.op_type in CONTROL:
                continue
            reads = any(value in wide for value in node.inputs)
            squares = node.op_type == "Mul" and node.inputs[0] is node.inputs[1]
            if (reads or squares) and node in plan.short:
                plan.short.discard(node)
                plan.reasons[node] = "it squares" if squares else "it reads what may be very large"
            starts = squares or (node in plan.reasons and node.op_type in WIDENS)
            if starts or (reads and node.op_type not in NARROWS):
                wide.update(node.outputs)


class _Spread:
    """Takes nodes out of the shorter type until nothing changes."""

    def __init__(self, plan: Plan, facts: Facts, graphs: list[ir.Graph]) -> None:
        self._plan = plan
        self._facts = facts
        self._graphs = graphs
        self._numbers = _made_of_integers(plan, facts, graphs)

    def run(self) -> None:
        nodes = [node for graph in self._graphs for node in graph if node in self._plan.short]
        changed = True
        while changed:
            changed = False
            for order in (nodes, nodes[::-1]):
                for node in order:
                    if node in self._plan.short and self._stays(node):
                        self._plan.short.discard(node)
                        changed = True

    def _stays(self, node: ir.Node) -> bool:
        made = self._made_short(node)
        if not self._plan.operands[node].outputs:
            return False in made or node in self._numbers
        readers, border = self._read_short(node)
        if True in readers or not (readers or border):
            return False
        if node in self._numbers:
            return True
        if readers and (node.op_type in MOVES or node.op_type == "If"):
            return True
        if node.op_type in HEAVY or True in made or not made:
            return False
        return bool(readers) or any(v is not None and v.producer() for v in node.inputs)

    def _made_short(self, node: ir.Node) -> set[bool]:
        """Whether what a node reads is made in the shorter type; constants are as one likes."""
        if node.op_type == "If":
            values = [v for graph in subgraphs(node) for v in graph.outputs]
        else:
            values = [v for i in self._plan.operands[node].inputs if (v := node.inputs[i])]
        return {self._plan.is_short(v) for v in values if self._facts.const_tensor(v) is None}

    def _read_short(self, node: ir.Node) -> tuple[set[bool], bool]:
        """Whether what a node returns is read in the shorter type; and whether a graph returns it."""
        readers: set[bool] = set()
        border = False
        for index in self._plan.operands[node].outputs:
            value = node.outputs[index]
            for user, place in value.uses():
                wanted = self._plan.wants(user, place)
                if wanted is not None and not self._indifferent(user):
                    readers.add(wanted != SINGLE)
                elif wanted is None and user in self._plan.operands:
                    readers.add(user in self._plan.short)
            graph = owner(node)
            returned = [i for i, v in enumerate(graph.outputs) if v is value]
            kinds = {self._plan.returned_as(graph, i) != SINGLE for i in returned}
            if graph in self._plan.holders or True in kinds:
                readers |= kinds
            border = border or bool(returned)
        return readers, border

    def _indifferent(self, user: ir.Node) -> bool:
        """Whether a reader takes numbers as they come; integers' own arithmetic stays exact."""
        found = self._plan.operands.get(user)
        return found is not None and not found.outputs and user in self._plan.short


def _made_of_integers(plan: Plan, facts: Facts, graphs: list[ir.Graph]) -> set[ir.Node]:
    """The nodes that compute with numbers made of integers and small constants alone."""
    found: set[ir.Node] = set()
    for graph in graphs:
        for node in graph:
            if node not in plan.operands or node.op_type in CONTROL:
                continue
            singles = [v for v in node.inputs if v is not None and facts.dtype(v) == SINGLE]
            variable = [v for v in singles if facts.const_tensor(v) is None]
            if variable:
                pure = all(v.producer() in found for v in variable)
            else:
                pure = node.op_type in ("Cast", "Range") and not singles
            if pure and all(_slender(facts.const_tensor(v)) for v in singles):
                found.add(node)
    return found


def _slender(tensor: ir.TensorProtocol | None) -> bool:
    """Whether a constant is at most a row of numbers, as factors of positions are."""
    return tensor is None or sum(int(d) > 1 for d in tensor.shape.numpy()) <= 1
