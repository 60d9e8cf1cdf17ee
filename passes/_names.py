"""Names that mean different values in different graphs of one model."""

from __future__ import annotations

from collections import Counter

import onnx_ir as ir

from onnxopt.rewrite.scopes import Scopes


def ambiguous_names(scopes: Scopes) -> frozenset[str]:
    """Returns the names that more than one value of a model bears.

    Sibling subgraphs may use the same name for values of their own. A value of an outer graph that
    bears such a name cannot be referred to safely from an inner one.
    """
    count: Counter[str] = Counter()
    for graph in scopes.graphs():
        listed: set[ir.Value] = {*graph.inputs, *graph.initializers.values()}
        count.update(v.name for v in listed if v.name)
        for node in graph:
            count.update(v.name for v in node.outputs if v.name)
    return frozenset(name for name, number in count.items() if number > 1)
