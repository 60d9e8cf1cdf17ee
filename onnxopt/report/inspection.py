"""What a model is made of, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from .console import table
from .text import count, printable, scaled, size

if TYPE_CHECKING:
    from ..analysis.summary import Port, Summary

_OPS = 15
_PORTS = 20


def render(out: Console, model: str, summary: Summary) -> None:
    """Prints the summary."""
    _facts(out, model, summary)
    _ports(out, "Inputs", summary.inputs)
    _ports(out, "Inputs with a default", summary.overridable)
    _ports(out, "Outputs", summary.outputs)
    _operators(out, summary)
    _weights(out, summary)


def _facts(out: Console, model: str, summary: Summary) -> None:

    out.print(printable(model), style="bold")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    opsets = (f"{name or 'ai.onnx'} {version}" for name, version in summary.opsets.items())
    types = (f"{size(n)} {kind}" for kind, n in summary.bytes_by_type.items())
    weights = (
        f"{size(summary.weight_bytes)} ({', '.join(types)})" if summary.weight_bytes else "0 B"
    )
    rows = {
        "graph": summary.name,
        "producer": summary.producer,
        "IR version": str(summary.ir_version),
        "opsets": ", ".join(opsets),
        "nodes": _nodes(summary),
        "functions": ", ".join(f"{name} ({count(n)})" for name, n in summary.functions.items()),
        "parameters": f"{count(summary.parameters)} ({scaled(summary.parameters)})",
        "weights": weights,
        "MACs": _macs(summary),
    }
    for name, value in rows.items():
        if value:
            grid.add_row(f"  {name}", printable(value))
    out.print(grid)


def _nodes(summary: Summary) -> str:
    constants = summary.ops.get("Constant", 0)
    return count(summary.nodes) + (f" ({count(constants)} of them Constant)" if constants else "")


def _macs(summary: Summary) -> str:
    cost = summary.cost
    text = f"{count(cost.macs)} ({scaled(cost.macs)})"
    if cost.assumed:
        text += f", with {', '.join(f'{name} = {n}' for name, n in cost.assumed.items())} (--dim)"
    if cost.uncounted:
        text += f"; {count(cost.uncounted)} nodes of unknown shapes not counted"
    return text


def _ports(out: Console, title: str, ports: Sequence[Port]) -> None:
    if not ports:
        return
    grid = table(title, "<type", "<dims")
    for port in ports[:_PORTS]:
        grid.add_row(printable(port.name), port.type, printable(_dims(port.dims)))
    if len(ports) > _PORTS:
        grid.add_row(f"and {len(ports) - _PORTS} more", "", "")
    out.print()
    out.print(grid)


def _dims(dims: Sequence[int | str | None] | None) -> str:
    if dims is None:
        return "unknown"
    return f"[{', '.join('?' if dim is None else str(dim) for dim in dims)}]"


def _operators(out: Console, summary: Summary) -> None:
    if not summary.ops:
        return
    grid = table("Operators", "nodes", "share")
    ops = list(summary.ops.items())
    total = sum(summary.ops.values())
    for op, nodes in ops[:_OPS]:
        grid.add_row(printable(op), count(nodes), f"{100 * nodes / total:.1f}%")
    rest = ops[_OPS:]
    if rest:
        nodes = sum(n for _, n in rest)
        grid.add_row(f"{len(rest)} others", count(nodes), f"{100 * nodes / total:.1f}%")
    out.print()
    out.print(grid)


def _weights(out: Console, summary: Summary) -> None:
    if not summary.largest:
        return
    grid = table("Largest weights", "<type", "<dims", "size", "uses")
    for weight in summary.largest:
        dims = _dims(weight.dims)
        grid.add_row(
            printable(weight.name), weight.type, dims, size(weight.bytes), count(weight.uses)
        )
    out.print()
    out.print(grid)
