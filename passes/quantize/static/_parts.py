"""The graphs that static quantisation covers: the main one, and the branches of If in it.

Which branch runs is up to the samples: one that none of them takes stays as it is, since nothing is known of its ranges. Bodies of
loops and functions stay so, too: their values are many at a run, and not to be observed from outside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from onnxopt.analysis.effects import subgraphs
from onnxopt.pipeline.base import Context
from onnxopt.quantization.statistics import Statistics
from onnxopt.quantization.table import Quantization
from onnxopt.rewrite.editor import where

from .._selection import Selection
from ._plan import Plan, Planner

UNREACHED = "no sample of the calibration data takes the branch it is in"


@dataclass(frozen=True)
class Part:
    """A graph, and what is to be quantised in it.

    Attributes:
        graph: The graph.
        planner: Made the plan.
        plan: What is quantised.
    """

    graph: ir.Graph
    planner: Planner
    plan: Plan


def parts_of(context: Context, table: Quantization, selection: Selection) -> list[Part]:
    """Makes a plan for each graph, outer ones first."""
    parts = []
    for graph in _graphs(context.model.graph):
        planner = Planner(context.facts, table, selection)
        parts.append(Part(graph, planner, planner.plan(graph)))
    return parts


def _graphs(graph: ir.Graph) -> Iterator[ir.Graph]:
    yield graph
    for node in graph:
        if node.op_type == "If" and node.domain in ("", "ai.onnx"):
            for branch in subgraphs(node):
                yield from _graphs(branch)


def name_apart(context: Context, parts: Sequence[Part]) -> None:
    """Gives values whose ranges are needed names that no others have: statistics are by name.

    Both branches of an If may name values alike. Names inside of branches are no part of the model's interface.
    """
    graphs = [graph for graph in context.editor.scopes.graphs() if graph is not parts[0].graph]
    seen = Counter(v.name for graph in graphs for node in graph for v in node.outputs)
    seen.update(v.name for node in parts[0].graph for v in node.outputs)
    for part in parts[1:]:
        for value in part.plan.roots:
            producer = value.producer()
            if producer is not None and producer.graph is part.graph and seen[value.name] > 1:
                seen[value.name] -= 1
                value.name = context.editor.names.fresh(value.name or "value")


def reached(context: Context, parts: Sequence[Part], statistics: Statistics) -> list[Part]:
    """The parts of which all ranges are known: the main graph, and the branches that samples took."""
    kept = [parts[0]]
    for part in parts[1:]:
        if all(_seen(statistics, value) for value in part.plan.roots):
            kept.append(part)
            continue
        for node in part.plan.integer:
            context.stats.decline("quantize", where(node), f"{node.op_type}: {UNREACHED}")
    return kept


def _seen(statistics: Statistics, value: ir.Value) -> bool:
    found = statistics.tensors.get(value.name or "")
    return found is not None and found.count > 0
