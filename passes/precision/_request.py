"""What a conversion is asked to do, and which nodes the user and the target keep out of it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import onnx_ir as ir

from onnxopt.errors import UsageError
from onnxopt.rewrite.addresses import Addresses

SHORT = {"float16": ir.DataType.FLOAT16, "bfloat16": ir.DataType.BFLOAT16}
SEPARATOR = ";"


@dataclass(frozen=True)
class Request:
    """A conversion to a shorter type.

    Attributes:
        to: The shorter type.
        keep: The nodes that the user keeps in single precision.
        listed: Operators that the target keeps, ``Operator.input`` for one input; patterns of the shell.
        reasons: Why, by entry of the list.
        converted: The main graph's inputs and outputs whose type changes.
    """

    to: ir.DataType
    keep: frozenset[ir.Node]
    listed: frozenset[str]
    reasons: dict[str, str]
    converted: frozenset[ir.Value]

    def kept(self, node: ir.Node) -> str:
        """Why a node is to stay in single precision, or ''."""
        if node in self.keep:
            return "asked for"
        for entry in self.listed:
            if fnmatchcase(node.op_type, entry):
                return self.reasons.get(entry, "the target keeps the operator")
        return ""

    def kept_inputs(self, node: ir.Node) -> frozenset[str]:
        """The names of an operator's inputs that the target keeps in single precision."""
        marked = [entry.partition(".") for entry in self.listed if "." in entry]
        return frozenset(name for op_type, _, name in marked if op_type == node.op_type)


def words(text: str) -> list[str]:
    """The names in an option's text."""
    return [word.strip() for word in text.split(SEPARATOR) if word.strip()]


def short_type(name: str) -> ir.DataType:
    """The type an option names.

    Raises:
        UsageError: It is none that models are converted to.
    """
    if name not in SHORT:
        raise UsageError(f"cannot convert to {name!r}; choose {' or '.join(SHORT)}")
    return SHORT[name]


def asked_for(keep: Iterable[str], addresses: Addresses) -> frozenset[ir.Node]:
    """The nodes that names to keep mean.

    Args:
        keep: Names and operators, as `Addresses.find` takes them.
        addresses: Knows the nodes.

    Raises:
        UsageError: A name is neither a node, nor a result, nor an operator of the model.
    """
    found: set[ir.Node] = set()
    for name in keep:
        nodes = addresses.find(name)
        if not nodes:
            known = dict.fromkeys(n for node in addresses.nodes for n in addresses.names(node))
            raise UsageError(f"nothing to keep is called {name!r}{_hint(name, list(known))}")
        found.update(nodes)
    return frozenset(found)


def chosen(graph: ir.Graph, text: str) -> frozenset[ir.Value]:
    """The graph inputs and outputs whose type is to change.

    Args:
        graph: The main graph.
        text: ``same``, ``converted``, or names.

    Raises:
        UsageError: A name is none of the graph's inputs and outputs, or its type is not float32.
    """
    if text == "same":
        return frozenset()
    values = [*graph.inputs, *graph.outputs]
    if text == "converted":
        return frozenset(v for v in values if v.dtype == ir.DataType.FLOAT)
    known = {v.name or "": v for v in values}
    for name in words(text):
        if name not in known:
            hint = _hint(name, list(known))
            raise UsageError(f"the model has no input or output called {name!r}{hint}")
        if known[name].dtype != ir.DataType.FLOAT:
            raise UsageError(f"{name!r} is not float32, so that its type cannot be converted")
    return frozenset(known[name] for name in words(text))


def _hint(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else "; `onnxopt inspect` shows what there is"
