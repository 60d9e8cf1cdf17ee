"""``If`` nodes whose outcome is known: the branch that runs takes the node's place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.io.carry import graph_carry
from onnxopt.pipeline.base import Context, Pass
from onnxopt.rewrite.editor import where

from .._inline import Copier, bring_initializers, splice
from .._names import ambiguous_names
from ._bodies import same_bodies

_ROUNDS = 16


@dataclass(frozen=True)
class InlineBranches(Pass):
    """Replaces an ``If`` by a branch, where the condition is known or both branches are the same.

    Conditions count as known also where the analysis of dynamic shapes tells, such as a test of a
    rank. Nested ones are resolved from the outside in.

    Example: If(true) <then: y = Relu(x), else: y = Neg(x)> -> y = Relu(x)
    """

    name: ClassVar[str] = "inline-branches"
    summary: ClassVar[str] = "Replace If by the branch that is known to run."

    def run(self, context: Context) -> int:
        """Repeats while something was inlined, since that can make further conditions known."""
        total = 0
        for _ in range(_ROUNDS):
            made = _round(context)
            total += made
            if not made:
                break
            context.refresh()
        return total


def _round(context: Context) -> int:
    ambiguous = ambiguous_names(context.editor.scopes)
    made = 0
    for graph in context.editor.scopes.graphs():
        for node in list(graph):
            # A nested one may have gone meanwhile with the branch around it.
            if node.op_type == "If" and node.domain == "" and node.graph is not None:
                made += _visit(context, node, ambiguous)
    return made


def _visit(context: Context, node: ir.Node, ambiguous: frozenset[str]) -> int:
    branch = _branch(node, context.facts)
    if branch is None:
        context.stats.decline(InlineBranches.name, where(node), "the condition is not known")
        return 0
    carried = graph_carry(branch)
    if carried.sparse or carried.quantization:
        reason = "the branch carries sparse initializers or annotations"
        context.stats.decline(InlineBranches.name, where(node), reason)
        return 0
    build = context.editor.builder(node)
    names = context.editor.names

    def rename(name: str) -> str:
        return names.fresh(name) if name in ambiguous else name

    copier = Copier({}, rename)
    bring_initializers(copier, build, branch, rename)
    for copy in copier.nodes(branch):
        build.nodes.append(copy)
        context.facts.infer(copy)
    results = [copier.look_up(v) for v in branch.outputs]
    return int(splice(context, InlineBranches.name, node, build, results) is not None)


def _branch(node: ir.Node, facts: Facts) -> ir.Graph | None:
    """Returns the branch that runs; None where that is not known."""
    branches = [node.attributes.get(name) for name in ("then_branch", "else_branch")]
    if any(b is None or b.is_ref() for b in branches):
        return None
    then, other = (b.as_graph() for b in branches if b is not None)
    content = facts.content(node.inputs[0])
    if isinstance(content, tuple) and len(content) == 1:
        content = content[0]
    if isinstance(content, int):
        return then if content else other
    return then if same_bodies(then, other) else None
