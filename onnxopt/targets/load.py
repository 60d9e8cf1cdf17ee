"""Reading a target's data file: one that ships with the package, or a user's own."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

import onnx_ir as ir

from ..errors import UsageError
from ..quantization.table import Quantization, Weighted
from ..quantization.types import QTYPES
from .target import GENERIC, Target

TYPES = {
    "float16": ir.DataType.FLOAT16,
    "bfloat16": ir.DataType.BFLOAT16,
    "float32": ir.DataType.FLOAT,
    "float64": ir.DataType.DOUBLE,
    "int8": ir.DataType.INT8,
    "uint8": ir.DataType.UINT8,
    "int32": ir.DataType.INT32,
    "int64": ir.DataType.INT64,
}
"""Element types by the name that a target's file has for them."""

_KEYS = frozenset(
    {
        "avoid",
        "choices",
        "domains",
        "epilogues",
        "keep",
        "kernels",
        "pipeline",
        "prepare",
        "providers",
        "quantize",
        "reasons",
        "separate_weights_above",
        "summary",
        "tentative",
    }
)


def target_names() -> list[str]:
    """Lists the targets that ship with the package."""
    files = resources.files(__package__).iterdir()
    return sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml"))


def is_file(name: str) -> bool:
    """Whether a target's name is the path of a file of the user's."""
    return name.endswith(".toml")


def load_target(name: str) -> Target:
    """Reads a target.

    Args:
        name: The name of one that ships with the package, or the path of a ``.toml`` file.

    Raises:
        UsageError: There is no such target, or its file is not what a target's should be.
    """
    target = _find(name)
    return target if target.name == GENERIC.name else _on_top_of(_find(GENERIC.name), target)


def _on_top_of(base: Target, target: Target) -> Target:
    """Adds what holds for any runtime: what stays in single precision, what is quantised where the target is silent."""
    types = {*base.keep, *target.keep}
    none: frozenset[str] = frozenset()
    keep = {to: base.keep.get(to, none) | target.keep.get(to, none) for to in types}
    reasons = {**base.reasons, **target.reasons}
    quantize = target.quantize or base.quantize
    return replace(target, keep=keep, reasons=reasons, quantize=quantize)


def _find(name: str) -> Target:
    if is_file(name):
        return _read(Path(name))
    names = target_names()
    if name not in names:
        raise UsageError(
            f"no target is called {name!r}; there are: {', '.join(names)}, or give a .toml file"
        )
    return _parse(name, name, resources.files(__package__).joinpath(f"{name}.toml").read_text())


def _read(path: Path) -> Target:
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{path}: the target's file cannot be read: {cause}") from None
    return _parse(path.stem, str(path), text)


def _parse(name: str, source: str, text: str) -> Target:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{source}: not TOML: {error}") from None
    unknown = sorted(set(data) - _KEYS)
    if unknown:
        raise UsageError(
            f"{source}: no key {unknown[0]!r} in a target; there are: {', '.join(sorted(_KEYS))}"
        )
    reader = _Reader(source, data)
    domains = reader.table("domains", int, "a version")
    kernels = {
        (domain, op_type): reader.types(f"kernels.{domain}.{op_type}", types)
        for domain, table in reader.table("kernels", dict, "a table").items()
        for op_type, types in table.items()
    }
    foreign = sorted({domain for domain, _ in kernels} - {"", *domains})
    if foreign:
        raise UsageError(f"{source}: domains: lacks {foreign[0]!r}, which has kernels")
    choices = {
        name: reader.alternatives(f"choices.{name}", value)
        for name, value in reader.table("choices", list, "a list of names").items()
    }
    tentative = tuple(reader.words("tentative", data.get("tentative", [])))
    for choice in tentative:
        if choice not in choices:
            known = ", ".join(choices) or "none"
            raise UsageError(f"{source}: tentative: no choice {choice!r}; there are: {known}")
    return Target(
        name=name,
        summary=reader.text("summary", required=True),
        providers=tuple(reader.words("providers", data.get("providers", []))),
        domains=domains,
        kernels=kernels,
        avoid=frozenset(reader.words("avoid", data.get("avoid", []))),
        epilogues=reader.sets("epilogues", "a list of operators"),
        prepare=reader.text("prepare"),
        pipeline=reader.text("pipeline"),
        choices=choices,
        tentative=tentative,
        keep=reader.sets("keep", "a list of operators"),
        separate_weights_above=reader.number("separate_weights_above"),
        reasons=reader.table("reasons", str, "a text"),
        quantize=_quantization(reader) if "quantize" in data else None,
        source=source,
    )


def _quantization(reader: _Reader) -> Quantization:
    data = dict(reader.table("quantize", object, "anything"))
    reader.known("quantize", data, Quantization)
    weighted = reader.nested("quantize.weighted", data.pop("weighted", {}))
    values: dict[str, Any] = {}
    for key, value in data.items():
        if key == "stored":
            values[key] = _stored(reader, value)
        elif key in ("joined", "carried", "absorbed"):
            values[key] = frozenset(reader.words(f"quantize.{key}", value))
        elif isinstance(value, str):
            values[key] = value
        else:
            raise UsageError(f"{reader.source}: quantize.{key} must be a text")
    for op_type, form in weighted.items():
        reader.known(f"quantize.weighted.{op_type}", form, Weighted)
    values["weighted"] = {op_type: Weighted(**form) for op_type, form in weighted.items()}
    return Quantization(**values)


def _stored(reader: _Reader, value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise UsageError(f"{reader.source}: quantize.stored must be a table")
    for name, other in value.items():
        known = name in QTYPES and isinstance(other, str) and other in QTYPES
        if not known or QTYPES[name].levels != QTYPES[other].levels:
            raise UsageError(
                f"{reader.source}: quantize.stored.{name} must be a type of as many bits"
            )
    return value


class _Reader:
    """Takes typed values out of a target's data, or says which key is wrong."""

    def __init__(self, source: str, data: Mapping[str, Any]) -> None:
        self._source = source
        self._data = data

    @property
    def source(self) -> str:
        """The file."""
        return self._source

    def known(self, place: str, data: Mapping[str, Any], kind: type) -> None:
        """Refuses keys that are no fields of ``kind``."""
        names = {f.name for f in fields(kind)}
        for key in data:
            if key not in names:
                known = ", ".join(sorted(names))
                raise UsageError(f"{self._source}: {place}: no key {key!r}; there are: {known}")

    def nested(self, key: str, value: Any) -> dict[str, dict[str, Any]]:
        """Takes a table of tables."""
        if not isinstance(value, dict) or not all(isinstance(v, dict) for v in value.values()):
            raise UsageError(f"{self._source}: {key} must be a table of tables")
        return value

    def text(self, key: str, *, required: bool = False) -> str:
        value = self._data.get(key, "")
        if not isinstance(value, str) or (required and not value):
            raise UsageError(f"{self._source}: {key} must be a text")
        return value

    def number(self, key: str) -> int | None:
        value = self._data.get(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise UsageError(f"{self._source}: {key} must be a number")
        return value

    def table(self, key: str, kind: type, what: str) -> dict[str, Any]:
        value = self._data.get(key, {})
        if not isinstance(value, dict):
            raise UsageError(f"{self._source}: {key} must be a table")
        for name, item in value.items():
            if not isinstance(item, kind) or isinstance(item, bool):
                raise UsageError(f"{self._source}: {key}.{name} must be {what}")
        return value

    def words(self, key: str, value: Any) -> list[str]:
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise UsageError(f"{self._source}: {key} must be a list of names")
        return value

    def sets(self, key: str, what: str) -> dict[str, frozenset[str]]:
        table = self.table(key, list, what)
        return {
            name: frozenset(self.words(f"{key}.{name}", items)) for name, items in table.items()
        }

    def alternatives(self, key: str, value: list[Any]) -> tuple[tuple[str, ...], ...]:
        """Takes one alternative, a list of names, or several, a list of such lists."""
        several = value if value and isinstance(value[0], list) else [value]
        found = tuple(tuple(self.words(key, names)) for names in several)
        if not all(found):
            raise UsageError(f"{self._source}: {key} has an alternative without names")
        return found

    def types(self, key: str, value: Any) -> frozenset[ir.DataType]:
        names = self.words(key, value)
        for name in names:
            if name not in TYPES:
                known = ", ".join(TYPES)
                raise UsageError(f"{self._source}: {key}: no type {name!r}; there are: {known}")
        return frozenset(TYPES[name] for name in names)
