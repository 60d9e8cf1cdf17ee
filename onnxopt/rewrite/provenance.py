"""Where a node came from, in its metadata, so that any viewer shows it.

``onnxopt.rule`` names the rules that made the node, ``onnxopt.from`` the nodes of the original model
it stands for; both accumulate through successive rewrites.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx_ir as ir

RULE = "onnxopt.rule"
FROM = "onnxopt.from"
_LIMIT = 16
_SEPARATOR = ", "


def record(rule: str, new: Sequence[ir.Node], origin: Iterable[ir.Node]) -> None:
    """Writes provenance into new nodes, adding to what their origins already carry."""
    if not new:
        return
    rules: dict[str, None] = {}
    names: dict[str, None] = {}
    for node in origin:
        props = node.metadata_props
        rules.update(dict.fromkeys(_split(props.get(RULE, ""))))
        came = _split(props[FROM]) if FROM in props else [_label(node)]
        names.update(dict.fromkeys(came))
    rules[rule] = None
    for node in new:
        node.metadata_props[RULE] = _SEPARATOR.join(rules)
        node.metadata_props[FROM] = _clip(list(names))


def _split(text: str) -> list[str]:
    return [part for part in text.split(_SEPARATOR) if part]


def _label(node: ir.Node) -> str:
    if node.name:
        return node.name
    return next((v.name for v in node.outputs if v.name), node.op_type) or node.op_type


def _clip(names: list[str]) -> str:
    if len(names) <= _LIMIT:
        return _SEPARATOR.join(names)
    return _SEPARATOR.join([*names[:_LIMIT], f"(+{len(names) - _LIMIT} more)"])
