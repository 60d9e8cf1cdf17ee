"""Instruments watch the manager: they print, count, time and verify so that passes need not."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import onnx_ir as ir

from .base import Context, Pass

Emit = Callable[[str], None]


class Instrument:
    """Hooks around each pass. The defaults do nothing."""

    def before(self, step: Pass, context: Context) -> None:
        """Called before a pass runs."""

    def after(self, step: Pass, context: Context, changes: int) -> None:
        """Called after a pass ran."""


@dataclass
class PassRecord:
    """What one run of a pass did.

    Attributes:
        name: The pass.
        changes: How many changes it reported.
        nodes: Nodes in the main graph afterwards.
        seconds: Wall time.
    """

    name: str
    changes: int
    nodes: int
    seconds: float


class Recorder(Instrument):
    """Keeps a record of every run of every pass."""

    def __init__(self) -> None:
        self.records: list[PassRecord] = []
        self._began = 0.0

    def before(self, step: Pass, context: Context) -> None:  # noqa: ARG002
        """Starts the clock."""
        self._began = time.perf_counter()

    def after(self, step: Pass, context: Context, changes: int) -> None:
        """Stops the clock."""
        seconds = time.perf_counter() - self._began
        nodes = context.model.graph.num_nodes()
        self.records.append(PassRecord(step.name, changes, nodes, seconds))


class PrintAfter(Instrument):
    """Prints the model after the passes named, or after each that changed something.

    Args:
        names: Pass names; ``all`` stands for every pass.
        emit: Gets the text.
    """

    def __init__(self, names: Collection[str], emit: Emit) -> None:
        self._names = frozenset(names)
        self._emit = emit

    def after(self, step: Pass, context: Context, changes: int) -> None:
        """Prints, if this pass is meant."""
        if step.name in self._names or ("all" in self._names and changes):
            self._emit(f"// after {step.name}: {changes} changes\n{listing(context.model)}")


class VerifyEach(Instrument):
    """Checks the model's structure after every pass that changed it.

    Args:
        verify: Raises where the model is broken.
    """

    def __init__(self, verify: Callable[[ir.Model], None]) -> None:
        self._verify = verify

    def after(self, step: Pass, context: Context, changes: int) -> None:  # noqa: ARG002
        """Verifies, if something changed. What it raises is blamed on the pass."""
        if changes:
            self._verify(context.model)


def listing(model: ir.Model) -> str:
    """Writes a model as text, a node a line, weights by type and shape only."""
    lines: list[str] = []
    for title, graph in [("graph", model.graph)] + [
        (f"function {f.domain}.{f.name}", f.graph) for f in model.functions.values()
    ]:
        inputs = ", ".join(_signature(v) for v in graph.inputs)
        outputs = ", ".join(_signature(v) for v in graph.outputs)
        lines.append(f"{title} ({inputs}) => ({outputs}) {{")
        lines.extend(f"  {name} = <{v.dtype} {v.shape}>" for name, v in graph.initializers.items())
        lines.extend(f"  {_node(node)}" for node in graph)
        lines.append("}")
    return "\n".join(lines)


def _signature(value: ir.Value) -> str:
    return f"{value.name}: {value.dtype}{'' if value.shape is None else value.shape}"


def _node(node: ir.Node) -> str:
    outputs = ", ".join(v.name or "" for v in node.outputs)
    inputs = ", ".join("" if v is None else v.name or "" for v in node.inputs)
    attributes = ", ".join(f"{k}={_short(a)}" for k, a in node.attributes.items())
    domain = f"{node.domain}." if node.domain else ""
    return (
        f"{outputs} = {domain}{node.op_type}{f' <{attributes}>' if attributes else ''} ({inputs})"
    )


def _short(attr: ir.Attr) -> str:
    if attr.is_ref():
        return f"@{attr.ref_attr_name}"
    if attr.type in (ir.AttributeType.GRAPH, ir.AttributeType.TENSOR):
        return f"{attr.type.name.lower()}"
    text = str(attr.value)
    return text if len(text) <= 60 else f"{text[:57]}..."
