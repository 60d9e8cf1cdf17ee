"""Conditions of ``If`` nodes that are known since the other branch would make the model fail."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from onnxopt.pipeline.base import Context, Pass
from onnxopt.rewrite.editor import where
from onnxopt.rewrite.scopes import owner, subgraphs

from .._inline import splice
from ._ranks import PossibleRanks, Ranks, branches_of, demands, rank_step, shifted


@dataclass(frozen=True)
class DecideBranches(Pass):
    """Makes the condition of an ``If`` constant, where only one branch gives a rank that works.

    Exports of ``squeeze`` and of recurrent cells test ranks and dims when the model runs, although
    the operator that reads the result accepts one rank only: ``LSTM`` with an ``X`` that is not of
    rank 3 fails, as does ``Conv`` whose input has another rank than its weight. Whenever the model
    succeeds, the branch that ran is the one with the demanded rank. The rewrite changes what
    happens for those inputs alone for which the original model fails.

    The demand counts only where the consumer surely runs with the ``If``: it lies in the same
    graph, and outputs of that graph depend on it, not merely in one branch. Conditions from outside
    of that graph stay, since they may differ where the ``If`` does not run. Functions are left
    alone: their callers may not need all of their outputs. What the constant makes unneeded is
    left to ``inline-branches`` and to the removal of dead nodes.

    Example: LSTM(If(c) <then: Unsqueeze(x, 0), else: Identity(x)>, w, r) with x of rank 3 ->
    the same with c = false
    """

    name: ClassVar[str] = "decide-branches"
    summary: ClassVar[str] = "Fix conditions of If nodes whose other branch has a rank that fails."

    def run(self, context: Context) -> int:
        """Decides what can be decided at once; inlining the branches makes more known."""
        graphs = context.editor.scopes.graphs()
        if not any(node.op_type == "If" for graph in graphs for node in graph):
            return 0
        survey = _Survey(context)
        main = context.model.graph
        survey.visit(main, main.outputs)
        made = sum(_fix(context, node, outcome) for node, outcome in survey.decided)
        if made:
            context.refresh()
        return made


class _Survey:
    """A walk from the outputs of graphs backwards, over what surely runs.

    Attributes:
        decided: The ``If`` nodes of which one branch cannot run, with their conditions.
    """

    def __init__(self, context: Context) -> None:
        self.decided: list[tuple[ir.Node, bool]] = []
        self._context = context
        self._facts = context.facts
        self._possible = PossibleRanks(context.facts, context.model.graph)

    def visit(self, graph: ir.Graph, roots: Iterable[ir.Value]) -> set[ir.Value]:
        """Walks a graph and those inside it.

        Args:
            graph: The graph.
            roots: Those of its outputs that are needed.

        Returns:
            The values needed whenever it runs, those of graphs around it included.
        """
        needed = set(roots)
        demanded: dict[ir.Value, Ranks] = {}
        for node in reversed(graph):
            if not needed.intersection(node.outputs):
                continue
            needed.update(v for v in node.inputs if v is not None)
            self._demand(node, demanded)
            branches = branches_of(node) if node.op_type == "If" and node.domain == "" else None
            if branches is None:
                for inner in subgraphs(node):
                    self.visit(inner, inner.outputs)
                continue
            # Only what both branches need is needed for certain.
            then, other = (self.visit(b, _roots(node, b, needed)) for b in branches)
            needed |= then & other
            self._decide(node, branches, demanded)
        return needed

    def _demand(self, node: ir.Node, demanded: dict[ir.Value, Ranks]) -> None:
        """Notes what a node demands of its inputs: by itself, or since its result must fit."""
        asked = list(demands(node, self._facts))
        step = rank_step(node, self._facts)
        given = demanded.get(node.outputs[0])
        if step is not None and given is not None and node.inputs[0] is not None:
            asked.append((node.inputs[0], shifted(given, -step)))
        for value, ranks in asked:
            demanded[value] = demanded.get(value, ranks) & ranks

    def _decide(
        self, node: ir.Node, branches: tuple[ir.Graph, ir.Graph], demanded: dict[ir.Value, Ranks]
    ) -> None:
        asked = [(i, demanded[v]) for i, v in enumerate(node.outputs) if v in demanded]
        if not asked:
            return
        then, other = (self._fits(branch, asked) for branch in branches)
        if then != other:
            self.decided.append((node, then))
            return
        reason = "both branches may have" if then else "neither branch has"
        text = f"{reason} the rank that is demanded"
        self._context.stats.decline(DecideBranches.name, where(node), text)

    def _fits(self, branch: ir.Graph, asked: Iterable[tuple[int, Ranks]]) -> bool:
        """Whether a branch can give what is demanded of each output."""
        for index, ranks in asked:
            possible = self._possible.of(branch.outputs[index])
            if possible is not None and not possible & ranks:
                return False
        return True


def _roots(node: ir.Node, branch: ir.Graph, needed: set[ir.Value]) -> list[ir.Value]:
    rows = zip(branch.outputs, node.outputs, strict=False)
    return [inner for inner, outer in rows if outer in needed]


def _fix(context: Context, node: ir.Node, outcome: bool) -> int:
    """Puts a constant in the place of a condition."""
    condition = node.inputs[0]
    if condition is None or context.facts.const_tensor(condition) is not None:
        return 0
    producer = condition.producer()
    if producer is None or producer.graph is None or owner(producer) is not owner(node):
        reason = "the condition comes from outside of the graph"
        context.stats.decline(DecideBranches.name, where(node), reason)
        return 0
    shape = context.facts.static_shape(condition)
    if shape is None:
        reason = "the shape of the condition is not known"
        context.stats.decline(DecideBranches.name, where(node), reason)
        return 0
    build = context.editor.builder(producer)
    constant = build.const("decided", np.full(shape, outcome))
    results = [constant if v is condition else None for v in producer.outputs]
    return int(splice(context, DecideBranches.name, producer, build, results) is not None)
