"""Names that are new to the whole model, so that no rewrite overwrites what exists."""

from __future__ import annotations

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
