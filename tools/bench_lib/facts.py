"""Child process: what a model file holds, as JSON, without reading external weights.

A node counts wherever it stands: main graph, subgraphs, bodies of model functions. ``Constant`` nodes
do not count: they are another spelling of an initializer.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypedDict

import onnx

STANDARD = {"", "ai.onnx"}


class Facts(TypedDict):
    """What :func:`facts` finds.

    Attributes:
        nodes: All nodes but ``Constant``.
        contrib: Those of them outside the standard domain.
        bytes: Size of the file and of its external data.
        ops: Nodes by operator, ``domain::type`` outside the standard domain.
    """

    nodes: int
    contrib: int
    bytes: int
    ops: dict[str, int]


def facts(path: Path) -> Facts:
    """Count nodes and bytes of the model at ``path``."""
    model = onnx.load(path, load_external_data=False)
    nodes = [*_walk(model.graph.node)]
    for function in model.functions:
        nodes += _walk(function.node)
    ops = Counter(_label(n) for n in nodes if n.op_type != "Constant")
    return {
        "nodes": ops.total(),
        "contrib": sum(count for op, count in ops.items() if "::" in op),
        "bytes": path.stat().st_size + _external_bytes(model, path.parent),
        "ops": dict(ops),
    }


def _walk(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _walk(graph.node)


def _label(node: onnx.NodeProto) -> str:
    return node.op_type if node.domain in STANDARD else f"{node.domain}::{node.op_type}"


def _external_bytes(model: onnx.ModelProto, folder: Path) -> int:
    names = {
        entry.value
        for tensor in model.graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return sum((folder / name).stat().st_size for name in names)


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(facts(Path(sys.argv[1]))))
