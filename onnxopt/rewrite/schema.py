"""What the operator schemas say, cached: defaults, arities, attributes, legality at an opset.

Source: the operator schemas registered in ``onnx.defs``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import onnx
import onnx.defs
import onnx_ir as ir


@dataclass(frozen=True)
class Signature:
    """The part of an operator schema that legality checks need."""

    since: int
    min_inputs: int
    max_inputs: int
    max_outputs: int
    attributes: frozenset[str]
    required: frozenset[str]
    defaults: tuple[tuple[str, Any], ...]
    deprecated: bool


@lru_cache(maxsize=4096)
def signature(op_type: str, version: int, domain: str = "") -> Signature | None:
    """Returns the signature of an operator at an opset version, None where it does not exist."""
    try:
        schema = onnx.defs.get_schema(op_type, version, domain)
    except onnx.defs.SchemaError:
        return None
    defaults = []
    for name, attribute in schema.attributes.items():
        if attribute.default_value.type:
            value = onnx.helper.get_attribute_value(attribute.default_value)
            if isinstance(value, bytes):
                value = value.decode()
            defaults.append((name, value))
    return Signature(
        since=schema.since_version,
        min_inputs=schema.min_input,
        max_inputs=schema.max_input,
        max_outputs=schema.max_output,
        attributes=frozenset(schema.attributes),
        required=frozenset(n for n, a in schema.attributes.items() if a.required),
        defaults=tuple(defaults),
        deprecated=bool(schema.deprecated),
    )


def attribute_default(node: ir.Node, name: str, version: int | None) -> Any:
    """Returns the schema's default for an attribute that ``node`` leaves out, else None."""
    if version is None:
        return None
    found = signature(node.op_type, version, node.domain)
    return None if found is None else dict(found.defaults).get(name)


def exists(op_type: str, version: int | None, domain: str = "") -> bool:
    """Tells whether an operator exists, undeprecated, at an opset version."""
    if version is None:
        return False
    found = signature(op_type, version, domain)
    return found is not None and not found.deprecated


def illegal(node: ir.Node, version: int | None) -> str | None:
    """Explains why ``node`` is not legal at an opset version, or returns None where it is."""
    label = f"{node.domain or 'ai.onnx'}.{node.op_type}"
    if version is None:
        return f"the model does not import the domain of {label}"
    found = signature(node.op_type, version, node.domain)
    if found is None:
        return f"{label} does not exist at opset {version}"
    if found.deprecated:
        return f"{label} is deprecated at opset {version}"
    unknown = set(node.attributes) - found.attributes
    if unknown:
        return f"{label} has no attribute {sorted(unknown)[0]} at opset {version}"
    missing = found.required - set(node.attributes)
    if missing:
        return f"{label} needs the attribute {sorted(missing)[0]}"
    if not found.min_inputs <= len(node.inputs) <= found.max_inputs:
        return f"{label} cannot take {len(node.inputs)} inputs at opset {version}"
    if len(node.outputs) > found.max_outputs:
        return f"{label} cannot have {len(node.outputs)} outputs at opset {version}"
    return None
