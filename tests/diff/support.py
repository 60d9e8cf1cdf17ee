"""Models to compare, and the same ones written differently."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import onnx
import onnx.parser

HEAD = '<ir_version: 8, opset_import: ["" : 17]>\n'


def parse(text: str) -> onnx.ModelProto:
    """Reads a model in ONNX's text format, opset 17."""
    return onnx.parser.parse_model(HEAD + text)


def rewritten(model: onnx.ModelProto, seed: int = 0) -> onnx.ModelProto:
    """The same model with its nodes in another order and other names for nodes, values and weights."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    chance = random.Random(seed)
    _graph(copy.graph, {}, chance, ports=True)
    for function in copy.functions:
        _function(function, chance)
    return copy


def _graph(
    graph: onnx.GraphProto, outer: dict[str, str], chance: random.Random, *, ports: bool
) -> None:
    kept = {v.name for v in (*graph.input, *graph.output)} if ports else set()
    names = dict(outer)
    local = [v.name for v in (*graph.input, *graph.output)]
    local += [tensor.name for tensor in graph.initializer]
    local += [name for node in graph.node for name in node.output]
    for name in dict.fromkeys(filter(None, local)):
        names[name] = name if name in kept else f"v{chance.getrandbits(64)}"
    for value in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        value.name = names.get(value.name, value.name)
    chance_order = list(graph.initializer)
    chance.shuffle(chance_order)
    _replace(graph.initializer, chance_order)
    _replace(graph.node, _shuffled(list(graph.node), chance))
    _nodes(graph.node, names, chance)


def _function(function: onnx.FunctionProto, chance: random.Random) -> None:
    names = {name: f"v{chance.getrandbits(64)}" for name in (*function.input, *function.output)}
    for node in function.node:
        for name in filter(None, node.output):
            names.setdefault(name, f"v{chance.getrandbits(64)}")
    for field in (function.input, function.output):
        _replace(field, [names[name] for name in field])
    _replace(function.node, _shuffled(list(function.node), chance))
    _nodes(function.node, names, chance)
    del function.value_info[:]


def _nodes(nodes: Iterable[onnx.NodeProto], names: dict[str, str], chance: random.Random) -> None:
    for node in nodes:
        node.name = f"n{chance.getrandbits(64)}"
        for attribute in node.attribute:
            for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                _graph(graph, names, chance, ports=False)
        for field in (node.input, node.output):
            _replace(field, [names.get(name, name) for name in field])


def _replace(field: Any, items: list[Any]) -> None:
    copies = [_copy(item) for item in items]
    del field[:]
    field.extend(copies)


def _copy(item: Any) -> Any:
    if isinstance(item, str):
        return item
    copy = type(item)()
    copy.CopyFrom(item)
    return copy


def _shuffled(nodes: list[onnx.NodeProto], chance: random.Random) -> list[onnx.NodeProto]:
    """Another order in which every node still comes after those it reads."""
    waiting = list(nodes)
    chance.shuffle(waiting)
    made = {name for node in nodes for name in node.output if name}
    done: list[onnx.NodeProto] = []
    while waiting:
        ready = next(node for node in waiting if not (_read(node) & made))
        waiting.remove(ready)
        made -= set(ready.output)
        done.append(ready)
    return done


def _read(node: onnx.NodeProto) -> set[str]:
    """The names a node and its bodies read."""
    found = set(node.input)
    for attribute in node.attribute:
        for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            for inner in graph.node:
                found |= _read(inner)
            found |= {value.name for value in graph.output}
    return found
