"""Names that are new to the whole model, so that no rewrite overwrites what exists."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from .scopes import Scopes


class Names:
    """Hands out value and node names that occur nowhere in a model, subgraphs included."""

    def __init__(self, scopes: Scopes) -> None:
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}
        for graph in scopes.graphs():
            self._taken.update(v.name for v in graph.inputs if v.name)
            self._taken.update(graph.initializers)
            for node in graph:
                if node.name:
                    self._taken.add(node.name)
                self._taken.update(v.name for v in node.outputs if v.name)
                self._taken.update(v.name for v in node.inputs if v is not None and v.name)

    def fresh(self, hint: str) -> str:
        """Returns ``hint`` itself if it is new, else ``hint`` with the next free number."""
        name = hint or "value"
        if name not in self._taken:
            self._taken.add(name)
            return name
        number = self._next.get(name, 1)
        while f"{name}_{number}" in self._taken:
            number += 1
        self._next[name] = number + 1
        fresh = f"{name}_{number}"
        self._taken.add(fresh)
        return fresh


def separate(scopes: Scopes, names: Names) -> None:
    """Renames what hides a value of a graph around it.

    An input, initializer or result of a body may bear the name of a value outside, which then cannot be
    referred to in the body. References are by value here and by name in the file, so that a
    rewrite that makes the body read the outer value would come to mean the inner one.

    Args:
        scopes: The graphs of a model.
        names: Hands out the new names.
    """
    outside: dict[ir.Graph, set[str]] = {}

    def around(graph: ir.Graph) -> set[str]:
        parent = scopes.of(graph).parent
        if parent is None:
            return set()
        if parent not in outside:
            outside[parent] = around(parent) | {v.name for v in _own(parent) if v.name}
        return outside[parent]

    for graph in scopes.graphs():
        hidden = around(graph)
        for value in _own(graph) if hidden else ():
            if value.name in hidden:
                value.name = names.fresh(value.name)


def _own(graph: ir.Graph) -> Iterator[ir.Value]:
    """The values that belong to a graph itself."""
    inputs = dict.fromkeys(graph.inputs)
    yield from inputs
    yield from [v for v in graph.initializers.values() if v not in inputs]
    for node in graph:
        yield from node.outputs
