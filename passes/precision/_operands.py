"""Which operands of a node may change their type, by the operator's schema at the model's opset.

Operands that share a type variable change together, and only where the variable allows the new type: the scales of
``Resize`` are ``tensor(float)`` and stay, ``Conv`` takes bfloat16 from opset 22 on.
Source: the type constraints of the schemas registered in ``onnx.defs``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.analysis.fallback import schema_of

SINGLE = ir.DataType.FLOAT
TYPE_ATTRIBUTES = {"Cast": "to", "ConstantOfShape": "value"}
"""Operators whose result has the type that an attribute says."""
AS_IT_COMES = frozenset({"Cast", "CastLike"})
"""Operators that take their first operand in whatever type it has."""


@dataclass(frozen=True)
class Operands:
    """The single-precision operands of a node that may become shorter.

    Attributes:
        inputs: Positions of inputs.
        outputs: Positions of outputs.
        reason: Why the node cannot change, where it cannot; both sets are empty then.
        unsupported: Whether that is because the schema does not allow the type.
    """

    inputs: frozenset[int] = field(default_factory=frozenset)
    outputs: frozenset[int] = field(default_factory=frozenset)
    reason: str = ""
    unsupported: bool = False


@dataclass(frozen=True)
class Formal:
    """A formal parameter: its name, and its type variable ('' where the type is written out)."""

    name: str
    variable: str


@dataclass(frozen=True)
class Signature:
    """The typing of an operator: formal parameters (the last repeats) and types by variable."""

    inputs: tuple[Formal, ...]
    outputs: tuple[Formal, ...]
    allowed: dict[str, frozenset[str]]
    stashes: bool

    def variable(self, formals: Sequence[Formal], index: int) -> str:
        """The type variable of an operand."""
        return formals[min(index, len(formals) - 1)].variable if formals else ""


@lru_cache(maxsize=1024)
def signature(domain: str, op_type: str, version: int) -> Signature | None:
    """The typing of an operator at an opset version; None where it has no schema."""
    schema = schema_of(domain, op_type, version)
    if schema is None:
        return None
    allowed = {
        c.type_param_str: frozenset(str(t) for t in c.allowed_type_strs)
        for c in schema.type_constraints
    }
    return Signature(
        _formals(schema.inputs, allowed),
        _formals(schema.outputs, allowed),
        allowed,
        "stash_type" in schema.attributes,
    )


def _formals(parameters: Iterable[Any], allowed: dict[str, frozenset[str]]) -> tuple[Formal, ...]:
    return tuple(
        Formal(p.name, p.type_str if p.type_str in allowed and p.is_homogeneous else "")
        for p in parameters
    )


def operands(
    node: ir.Node, facts: Facts, to: ir.DataType, kept_names: frozenset[str] = frozenset()
) -> Operands:
    """Works out which operands of a node may change from single precision to ``to``.

    Args:
        node: A node of an operator with a schema, no control flow.
        facts: The types of its operands.
        to: The shorter type.
        kept_names: Names of formal inputs that stay.
    """
    version = facts.opset(node, node.domain)
    found = None if version is None else signature(node.domain, node.op_type, version)
    if found is None:
        return Operands(reason="the operator is not a standard one")
    problem = _unclear(node, facts)
    if problem:
        return Operands(reason=problem)
    ins = [(i, found.variable(found.inputs, i)) for i in _single(node.inputs, facts)]
    outs = [(i, found.variable(found.outputs, i)) for i in _single(node.outputs, facts)]
    fixed = _fixed_variables(node, found, to, kept_names)
    inputs = frozenset(i for i, variable in ins if variable not in fixed)
    outputs = frozenset(i for i, variable in outs if variable not in fixed)
    if not inputs and not outputs and (ins or outs):
        reason = f"the operator does not take {spelt(to)} at opset {version}"
        return Operands(reason=reason, unsupported=True)
    bound = {variable for i, variable in ins if i in inputs}
    loose = {variable for i, variable in outs if i in outputs} - bound
    if loose and node.op_type not in TYPE_ATTRIBUTES:
        return Operands(reason="the type of its result does not follow from its inputs")
    return Operands(inputs, outputs)


def _fixed_variables(
    node: ir.Node, found: Signature, to: ir.DataType, kept_names: frozenset[str]
) -> set[str]:
    name = f"tensor({spelt(to)})"
    fixed = {variable for variable, types in found.allowed.items() if name not in types}
    fixed.add("")
    fixed.update(f.variable for f in found.inputs if f.name in kept_names)
    if found.stashes:
        # Statistics that a normalisation returns have the type that `stash_type` says.
        fixed.update({f.variable for f in found.outputs} - {f.variable for f in found.inputs})
    return fixed


def _unclear(node: ir.Node, facts: Facts) -> str:
    """Why the types of a node's operands cannot be told; '' where they can."""
    for value in (*node.inputs, *node.outputs):
        if value is None or not value.name:
            continue
        fact = facts.fact(value)
        if fact.container is not None:
            return "it works on sequences or optionals"
        if fact.dtype is None:
            return f"the type of {value.name!r} is unknown"
    if "reduction" in node.attributes and node.op_type.startswith("Scatter"):
        # Sums in the shorter type lose digits, and few runtimes have a kernel for them.
        return "it adds up what falls on one place" if _reduces(node) else ""
    return ""


def _reduces(node: ir.Node) -> bool:
    return node.attributes["reduction"].as_string() != "none"


def _single(values: Sequence[ir.Value | None], facts: Facts) -> list[int]:
    return [i for i, v in enumerate(values) if v is not None and facts.dtype(v) == SINGLE]


def spelt(dtype: ir.DataType) -> str:
    """A type's name as schemas and targets write it."""
    return "float" if dtype == SINGLE else dtype.name.lower()
