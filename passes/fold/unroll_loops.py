"""``Loop`` nodes whose number of iterations is known, written out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.dims import Dim
from onnxopt.analysis.facts import Facts
from onnxopt.io.carry import graph_carry
from onnxopt.pipeline.base import Context, Pass
from onnxopt.rewrite.builder import Builder
from onnxopt.rewrite.editor import where
from onnxopt.rewrite.uses import use_count

from .._inline import Copier, Rename, bring_initializers, splice
from .._names import ambiguous_names

_ROUNDS = 16


@dataclass(frozen=True)
class UnrollLoops(Pass):
    """Replaces a ``Loop`` that runs a known, small number of times by that many copies of its body.

    A loop that runs never hands its initial values on. Declines where the body may stop early.

    Attributes:
        max_trips: The largest number of iterations to write out.

    Example: Loop(1, true, a) <body: b = Relu(a)> -> Relu(a)
    """

    name: ClassVar[str] = "unroll-loops"
    summary: ClassVar[str] = "Write out loops that run a known, small number of times."

    max_trips: int = 1

    def run(self, context: Context) -> int:
        """Repeats while something was unrolled, since that can make further counts known."""
        total = 0
        for _ in range(_ROUNDS):
            made = self._round(context)
            total += made
            if not made:
                break
            context.refresh()
        return total

    def _round(self, context: Context) -> int:
        ambiguous = ambiguous_names(context.editor.scopes)
        made = 0
        for graph in context.editor.scopes.graphs():
            for node in list(graph):
                if node.op_type == "Loop" and node.domain == "" and node.graph is not None:
                    made += self._visit(context, node, ambiguous)
        return made

    def _visit(self, context: Context, node: ir.Node, ambiguous: frozenset[str]) -> int:
        loop = _Loop(context, node, ambiguous)
        reason = loop.obstacle(self.max_trips)
        if reason is not None:
            context.stats.decline(self.name, where(node), reason)
            return 0
        build = context.editor.builder(node)
        results = loop.write_out(build)
        return int(splice(context, self.name, node, build, results) is not None)


class _Loop:
    """A loop and what is known of it."""

    def __init__(self, context: Context, node: ir.Node, ambiguous: frozenset[str]) -> None:
        self._context = context
        self._node = node
        self._ambiguous = ambiguous
        self._body = node.attributes["body"].as_graph()
        self._carried = len(self._body.inputs) - 2
        self._trips = _trips(node, context.facts)

    def obstacle(self, limit: int) -> str | None:
        """Returns why the loop cannot be written out, or None."""
        if self._trips is None:
            return "the number of iterations is not known"
        if self._trips > limit:
            return f"more than {limit} iterations"
        if graph_carry(self._body).sparse:
            return "the body carries sparse initializers"
        if self._trips > 1 and not self._goes_on():
            return "the body may stop early"
        scans = self._node.outputs[self._carried :]
        if self._trips == 0 and any(use_count(v) or v.is_graph_output() for v in scans):
            return "an empty scan output is in use"
        return None

    def _goes_on(self) -> bool:
        """Whether the body's condition stays true."""
        condition = self._body.outputs[0]
        producer = condition.producer()
        while producer is not None and producer.op_type == "Identity":
            source = producer.inputs[0]
            if source is None:
                return False
            condition, producer = source, source.producer()
        return condition is self._body.inputs[1] or _scalar(self._context.facts, condition) == 1

    def write_out(self, build: Builder) -> list[ir.Value | None]:
        """Builds all iterations; returns what stands for each of the loop's outputs."""
        state: list[ir.Value | None] = list(self._node.inputs[2:])
        scans: list[list[ir.Value]] = [[] for _ in self._node.outputs[self._carried :]]
        shared: dict[ir.Value, ir.Value | None] = {}
        rename = self._rename(once=self._trips == 1)
        if self._trips:
            bring = Copier(shared, rename)
            bring_initializers(bring, build, self._body, rename)
        for trip in range(self._trips or 0):
            copier = Copier({**shared, **self._inputs(build, trip, state)}, rename)
            for copy in copier.nodes(self._body):
                build.nodes.append(copy)
                self._context.facts.infer(copy)
            found = [copier.look_up(v) for v in self._body.outputs[1:]]
            state = found[: self._carried]
            for row, item in zip(scans, found[self._carried :], strict=True):
                if item is not None:
                    row.append(item)
        stacked = [
            self._stack(build, v, row)
            for v, row in zip(self._node.outputs[self._carried :], scans, strict=True)
        ]
        return [*state, *stacked]

    def _inputs(
        self, build: Builder, trip: int, state: list[ir.Value | None]
    ) -> dict[ir.Value, ir.Value | None]:
        index, condition, *carried = self._body.inputs
        given: dict[ir.Value, ir.Value | None] = dict(zip(carried, state, strict=True))
        if use_count(index) or index.is_graph_output():
            given[index] = build.const("iteration", np.array(trip, np.int64))
        if use_count(condition) or condition in self._body.outputs:
            given[condition] = build.const("condition", np.array(True))
        return given

    def _rename(self, once: bool) -> Rename:
        names = self._context.editor.names

        def rename(name: str) -> str:
            return name if once and name not in self._ambiguous else names.fresh(name)

        return rename

    def _stack(self, build: Builder, output: ir.Value, row: list[ir.Value]) -> ir.Value | None:
        if not (use_count(output) or output.is_graph_output()):
            return None
        version = self._context.facts.opset(self._node) or 0
        slices = []
        for item in row:
            if version >= 13:
                slices.append(build.op("Unsqueeze", item, build.ints("axes", [0])))
            else:
                slices.append(build.op("Unsqueeze", item, axes=[0]))
        return slices[0] if len(slices) == 1 else build.op("Concat", *slices, axis=0)


def _trips(node: ir.Node, facts: Facts) -> int | None:
    """Returns how often a loop runs if its body does not stop it; None where that is not known."""
    count = node.inputs[0] if node.inputs else None
    condition = node.inputs[1] if len(node.inputs) > 1 else None
    start = 1 if condition is None else _scalar(facts, condition)
    if start == 0:
        return 0
    if count is None:
        return None
    number = _scalar(facts, count)
    if number is not None and number <= 0:
        return 0
    return number if start == 1 else None


def _scalar(facts: Facts, value: ir.Value) -> int | None:
    content: Dim | tuple[Dim, ...] | None = facts.content(value)
    if isinstance(content, tuple) and len(content) == 1:
        content = content[0]
    return content if isinstance(content, int) else None
