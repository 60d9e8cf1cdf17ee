"""What callers and readers of a model see: inputs, outputs, versions, metadata; and which ports are the same ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import onnx_ir as ir

from onnxopt.analysis.naming import dtype_name

from .result import InterfaceChange

Pair = tuple[ir.Value | None, ir.Value | None]


def port_pairs(a: Sequence[ir.Value], b: Sequence[ir.Value]) -> list[Pair]:
    """Pairs inputs, or outputs: those of one name, then in their order the rest.

    Args:
        a: Those of the first model.
        b: Those of the second.

    Returns:
        Pairs in the order of ``a``, then those that only ``b`` has, each beside None.
    """
    rest = {value.name: value for value in b}
    found: dict[ir.Value, ir.Value] = {}
    for value in a:
        if value.name in rest:
            found[value] = rest.pop(value.name)
    left = [value for value in a if value not in found]
    for alike in (_same_kind, _any_kind):
        for value in list(left):
            other = next((o for o in rest.values() if alike(value, o)), None)
            if other is not None:
                found[value] = rest.pop(other.name)
                left.remove(value)
    return [
        *((value, found.get(value)) for value in a),
        *((None, value) for value in rest.values()),
    ]


def _same_kind(a: ir.Value, b: ir.Value) -> bool:
    return type_text(a) == type_text(b) and dims_text(a) == dims_text(b)


def _any_kind(a: ir.Value, b: ir.Value) -> bool:
    return a.dtype == b.dtype and _rank(a) == _rank(b)


def _rank(value: ir.Value) -> int | None:
    return None if value.shape is None else len(value.shape)


def type_text(value: ir.Value) -> str:
    """Returns the type as reports call it."""
    if isinstance(value.type, ir.TensorType):
        return dtype_name(value.type.dtype)
    return "unknown" if value.type is None else str(value.type)


def dims_text(value: ir.Value) -> str:
    """Returns the dims as the file states them."""
    if value.shape is None:
        return "unknown"
    dims = (dim if isinstance(dim, int) else dim.value for dim in value.shape)
    return f"[{', '.join('?' if dim is None else str(dim) for dim in dims)}]"


def interface_changes(
    a: ir.Model, b: ir.Model, inputs: Sequence[Pair], outputs: Sequence[Pair]
) -> Iterator[InterfaceChange]:
    """Yields every difference between the interfaces of two models.

    Args:
        a: The first model.
        b: The second.
        inputs: Which inputs are the same.
        outputs: Which outputs are the same.
    """
    yield from _ports("input", inputs)
    yield from _order("input", inputs, b.graph.inputs)
    yield from _ports("output", outputs)
    yield from _order("output", outputs, b.graph.outputs)
    yield from _entries("opset", _opsets(a), _opsets(b))
    yield from _entries("model", _facts(a), _facts(b))
    yield from _entries("function", _functions(a), _functions(b))
    yield from _entries("metadata", a.metadata_props, b.metadata_props)


def _ports(what: str, pairs: Sequence[Pair]) -> Iterator[InterfaceChange]:
    for a, b in pairs:
        if a is None or b is None:
            yield _lonely(what, a, b)
            continue
        name = a.name or ""
        if a.name != b.name:
            yield InterfaceChange(what, "renamed", name, name, b.name or "")
        if type_text(a) != type_text(b):
            yield InterfaceChange(what, "retyped", name, type_text(a), type_text(b))
        if dims_text(a) != dims_text(b):
            yield InterfaceChange(what, "reshaped", name, dims_text(a), dims_text(b))
        if a.is_initializer() != b.is_initializer():
            yield InterfaceChange(what, "changed", name, _default(a), _default(b))


def _lonely(what: str, a: ir.Value | None, b: ir.Value | None) -> InterfaceChange:
    value = a or b
    assert value is not None
    text = f"{type_text(value)} {dims_text(value)}"
    kind, before, after = ("removed", text, "") if b is None else ("added", "", text)
    return InterfaceChange(what, kind, value.name or "", before, after)


def _default(value: ir.Value) -> str:
    return "has a default" if value.is_initializer() else "has no default"


def _order(
    what: str, pairs: Sequence[Pair], after: Sequence[ir.Value]
) -> Iterator[InterfaceChange]:
    kept = [b for a, b in pairs if a is not None and b is not None]
    there = [value for value in after if value in kept]
    if kept != there:
        before_text, after_text = (", ".join(v.name or "" for v in side) for side in (kept, there))
        yield InterfaceChange(what, "reordered", "", before_text, after_text)


def _opsets(model: ir.Model) -> dict[str, str]:
    return {name or "ai.onnx": str(version) for name, version in model.opset_imports.items()}


def _facts(model: ir.Model) -> dict[str, str]:
    return {
        "IR version": str(model.ir_version),
        "producer": " ".join(filter(None, (model.producer_name, model.producer_version))),
        "domain": model.domain or "",
        "version": str(model.model_version or ""),
        "doc string": model.doc_string or "",
    }


def _functions(model: ir.Model) -> dict[str, str]:
    return {
        ".".join(filter(None, function.identifier())): f"{len(function.inputs)} inputs, "
        f"{len(function.outputs)} outputs"
        for function in model.functions.values()
    }


def _entries(
    what: str, before: Mapping[str, str], after: Mapping[str, str]
) -> Iterator[InterfaceChange]:
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name, ""), after.get(name, "")
        if old == new and (name in before) == (name in after):
            continue
        known = name in before and old, name in after and new
        kind = "changed" if all(known) else "removed" if known[0] else "added"
        yield InterfaceChange(what, kind, name, old, new)
