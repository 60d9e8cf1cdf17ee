"""Calls of model functions, replaced by the functions' bodies.

Exporters wrap operators in functions of their own (domains that begin with ``pkg.``); these hide from
every other pass what the model computes and are inlined. Functions the user wrote are part of the
model's structure and stay, unless asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from onnxopt.pipeline.base import Context, Pass
from onnxopt.rewrite.editor import where
from onnxopt.rewrite.schema import signature
from onnxopt.rewrite.scopes import owner, subgraphs

from .._inline import Copier, splice

_EXPORTERS = "pkg."


@dataclass(frozen=True)
class InlineFunctions(Pass):
    """Replaces calls of functions by the functions' bodies.

    Declines where the function was written for another version of an operator than the model's.

    Attributes:
        all: Whether to inline every function, not only those that exporters made.

    Example: y = pkg.torch.act(x), act(a) = Relu(a) -> y = Relu(x)
    """

    name: ClassVar[str] = "inline-functions"
    summary: ClassVar[str] = "Replace calls of exporters' helper functions by their bodies."

    all: bool = False

    def run(self, context: Context) -> int:
        """Inlines calls from the outside in, also inside the functions that stay."""
        if not context.model.functions:
            return 0
        pending = [n for graph in context.editor.scopes.graphs() for n in graph][::-1]
        inlined = 0
        while pending:
            node = pending.pop()
            function = context.model.functions.get(node.op_identifier())
            if function is None or node.graph is None:
                continue
            if self.all or function.domain.startswith(_EXPORTERS):
                inlined += _inline(context, node, function, pending)
        if inlined:
            context.refresh()
        return inlined


def _inline(context: Context, node: ir.Node, function: ir.Function, pending: list[ir.Node]) -> int:
    here = context.editor.scopes.of(owner(node)).function
    imports = context.model.opset_imports if here is None else here.opset_imports
    reason = _conflict(function, imports)
    if reason is not None:
        context.stats.decline(InlineFunctions.name, where(node), reason)
        return 0
    for domain, version in function.opset_imports.items():
        imports.setdefault(domain, version)
    prefix = where(node)
    names = context.editor.names
    given: list[ir.Value | None] = [*node.inputs, *[None] * len(function.inputs)]
    defaults = {k: a for k, a in function.attributes.items() if a.value is not None}
    copier = Copier(
        dict(zip(function.inputs, given, strict=False)),
        lambda name: names.fresh(f"{prefix}/{name}"),
        {**defaults, **node.attributes},
    )
    build = context.editor.builder(node)
    for copy in copier.nodes(function):
        build.nodes.append(copy)
    results = [copier.look_up(v) for v in function.outputs[: len(node.outputs)]]
    applied = splice(context, InlineFunctions.name, node, build, results)
    if applied is None:
        return 0
    pending.extend(n for copy in reversed(applied.nodes) for n in _with_inner(copy))
    return 1


def _with_inner(node: ir.Node) -> Iterator[ir.Node]:
    yield node
    for graph in subgraphs(node):
        for inner in graph:
            yield from _with_inner(inner)


def _conflict(function: ir.Function, imports: Mapping[str, int]) -> str | None:
    """Returns which operator means something else in the function than around the call, if any."""
    for top in function:
        for node in _with_inner(top):
            there = function.opset_imports.get(node.domain)
            here = imports.get(node.domain, there)
            if there == here or there is None or here is None:
                continue
            a = signature(node.op_type, there, node.domain)
            b = signature(node.op_type, here, node.domain)
            if a is None or b is None or a.since != b.since:
                return f"{node.op_type} of opset {there} is not that of the model's opset {here}"
    return None
