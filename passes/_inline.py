"""Copies of the nodes of a body, with other values in the place of its inputs.

What inlining a branch, unrolling a loop and inlining a function have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import onnx_ir as ir

from onnxopt.pipeline.base import Context
from onnxopt.rewrite.builder import Builder
from onnxopt.rewrite.editor import Applied, Rewrite

Rename = Callable[[str], str]


class Copier:
    """Copies nodes of a body to another place.

    Args:
        values: What stands for each value of the body; grows with each copied node. Values that are
            not in it belong to graphs around the body and stay themselves.
        rename: Gives the name of a copied value or node.
        attributes: What a function's attribute parameters are, for the copy of a function's body; None
            leaves references to them alone.
    """

    def __init__(
        self,
        values: dict[ir.Value, ir.Value | None],
        rename: Rename,
        attributes: Mapping[str, ir.Attr] | None = None,
    ) -> None:
        self.values = values
        self._rename = rename
        self._attributes = attributes

    def look_up(self, value: ir.Value | None) -> ir.Value | None:
        """Returns what stands for a value of the body."""
        return None if value is None else self.values.get(value, value)

    def nodes(self, nodes: Iterable[ir.Node]) -> list[ir.Node]:
        """Copies nodes that are given in order."""
        return [self._node(node) for node in nodes]

    def _node(self, node: ir.Node) -> ir.Node:
        inputs = [self.look_up(v) for v in node.inputs]
        attributes = [a for a in map(self._attribute, node.attributes.values()) if a is not None]
        return ir.Node(
            node.domain,
            node.op_type,
            inputs,
            attributes,
            overload=node.overload,
            outputs=[self._value(v) for v in node.outputs],
            version=node.version,
            name=self._rename(node.name) if node.name else node.name,
            doc_string=node.doc_string,
            metadata_props=dict(node.metadata_props),
        )

    def _value(self, value: ir.Value) -> ir.Value:
        copy = ir.Value(
            name=self._rename(value.name) if value.name else value.name,
            type=value.type,
            shape=None if value.shape is None else value.shape.copy(),
            doc_string=value.doc_string,
            const_value=None if value.producer() is not None else value.const_value,
        )
        copy.metadata_props.update(value.metadata_props)
        copy.meta.update(value.meta)
        self.values[value] = copy
        return copy

    def _attribute(self, attr: ir.Attr) -> ir.Attr | None:
        if attr.is_ref():
            return self._parameter(attr)
        if attr.type == ir.AttributeType.GRAPH:
            return ir.Attr(attr.name, attr.type, self._graph(attr.as_graph()), attr.doc_string)
        if attr.type == ir.AttributeType.GRAPHS:
            graphs = [self._graph(graph) for graph in attr.as_graphs()]
            return ir.Attr(attr.name, attr.type, graphs, attr.doc_string)
        return attr

    def _parameter(self, attr: ir.Attr) -> ir.Attr | None:
        """Resolves a reference; a parameter the caller leaves out leaves the attribute out."""
        if self._attributes is None:
            return attr
        given = self._attributes.get(attr.ref_attr_name or "")
        if given is None:
            return None
        if given.is_ref():
            return ir.RefAttr(attr.name, given.ref_attr_name or "", given.type, attr.doc_string)
        return ir.Attr(attr.name, given.type, given.value, attr.doc_string)

    def _graph(self, graph: ir.Graph) -> ir.Graph:
        inputs = [self._value(v) for v in graph.inputs]
        listed = set(graph.inputs)
        initializers = [
            self._pick(v) if v in listed else self._value(v) for v in graph.initializers.values()
        ]
        nodes = self.nodes(graph)
        copy = ir.Graph(
            inputs,
            [self._pick(v) for v in graph.outputs],
            nodes=nodes,
            initializers=initializers,
            doc_string=graph.doc_string,
            opset_imports=dict(graph.opset_imports),
            name=graph.name,
            metadata_props=dict(graph.metadata_props),
        )
        copy.meta.update(graph.meta)
        return copy

    def _pick(self, value: ir.Value) -> ir.Value:
        found = self.look_up(value)
        assert found is not None
        return found


def bring_initializers(copier: Copier, build: Builder, graph: ir.Graph, rename: Rename) -> None:
    """Makes a body's own initializers available where its nodes are copied to."""
    for value in graph.initializers.values():
        tensor = value.const_value
        if tensor is None or value in copier.values:
            continue
        made = build.tensor(value.name or "constant", tensor)
        if made.producer() is None and value.name:
            made.name = rename(value.name)
        copier.values[value] = made


def splice(
    context: Context,
    rule: str,
    node: ir.Node,
    build: Builder,
    results: Sequence[ir.Value | None],
) -> Applied | None:
    """Replaces a node by what a builder holds.

    Args:
        context: The model.
        rule: The pass that does it.
        node: The node to replace.
        build: Holds the new nodes and constants.
        results: What stands for each of the node's outputs; None for one that nothing reads.
    """
    replaced = []
    for old, new in zip(node.outputs, results, strict=True):
        if new is None:
            continue
        if old.is_graph_output() and new.producer() not in build.nodes:
            # A graph must return a value of its own.
            new = build.op("Identity", new)
        replaced.append((old, new))
    rewrite = Rewrite(rule, node, replaced, [node], tuple(build.nodes), tuple(build.constants))
    applied = context.editor.commit(rewrite)
    if applied is None:
        build.discard()
    return applied
