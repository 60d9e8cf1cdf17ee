"""Reading a budget: a TOML file whose keys are limits, with the place of whatever is wrong in it."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from ..errors import UsageError
from .keys import KEYS, Limit
from .places import key_lines, split_error

_SAMPLES = "samples"
_INPUTS = "inputs"


@dataclass(frozen=True)
class Budget:
    """What must hold of a build.

    Attributes:
        source: The file, or ``"budget"`` for one given as a mapping.
        limits: Limits by key, in the order of `onnxopt.checking.keys.KEYS`.
        lines: The line of each key in the file; empty for a mapping.
        inputs: Files and folders of samples that it names.
    """

    source: str
    limits: dict[str, Limit]
    lines: dict[str, int] = field(default_factory=dict)
    inputs: tuple[Path, ...] = ()

    def where(self, key: str) -> str:
        """Names the place of a key: ``"budget.toml:3: max_bytes"``."""
        return _place(self.source, self.lines, key)

    def require_reference(self) -> None:
        """Refuses keys that compare; for builds that nothing is given to compare with.

        Raises:
            UsageError: There is such a key.
        """
        for key in self.limits:
            if KEYS[key].compares:
                raise UsageError(
                    f"{self.where(key)}: compares models: name the other with --against"
                )


def read_budget(source: str | os.PathLike[str] | Mapping[str, Any]) -> Budget:
    """Reads a budget.

    Args:
        source: A TOML file, or what would be in it. Samples that a file names lie relative to it.

    Raises:
        UsageError: It cannot be read, or is no budget; the line names file, line, key and what was expected.
    """
    if isinstance(source, Mapping):
        return _Reader("budget", {}, Path()).budget(source)
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or "not UTF-8"
        raise UsageError(f"{path}: the budget cannot be read: {cause}") from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, line = split_error(str(error), text)
        raise UsageError(f"{path}:{line}: expected TOML: {message}") from None
    return _Reader(str(path), key_lines(text), path.parent).budget(data)


class _Reader:
    def __init__(self, source: str, lines: dict[str, int], folder: Path) -> None:
        self._source = source
        self._lines = lines
        self._folder = folder

    def budget(self, data: Mapping[str, Any]) -> Budget:
        for key in data:
            if key not in KEYS and key != _SAMPLES:
                self._fail(key, f"no such key: {_meant(key)}")
        limits = {key: self._limit(key, data[key]) for key in KEYS if key in data}
        if not limits:
            raise UsageError(f"{self._source}: asks for nothing: expected {', '.join(KEYS)}")
        inputs = self._inputs(data[_SAMPLES]) if _SAMPLES in data else ()
        lines = {key: self._lines[key] for key in limits if key in self._lines}
        return Budget(self._source, limits, lines, inputs)

    def _limit(self, key: str, value: Any) -> Limit:
        limit = KEYS[key].read(value)
        if limit is None:
            self._fail(key, f"expected {KEYS[key].expected}, not {_shown(value)}")
        return limit

    def _inputs(self, table: Any) -> tuple[Path, ...]:
        if not isinstance(table, Mapping):
            self._fail(_SAMPLES, f"expected a table with {_INPUTS!r}, not {_shown(table)}")
        for key in table:
            if key != _INPUTS:
                self._fail(f"{_SAMPLES}.{key}", f"no such key: expected {_INPUTS!r}")
        given = table.get(_INPUTS, [])
        if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
            expected = "a list of files and folders"
            self._fail(f"{_SAMPLES}.{_INPUTS}", f"expected {expected}, not {_shown(given)}")
        for name in given:
            if not (self._folder / name).exists():
                self._fail(f"{_SAMPLES}.{_INPUTS}", f"{self._folder / name} does not exist")
        return tuple(self._folder / name for name in given)

    def _fail(self, key: str, message: str) -> NoReturn:
        raise UsageError(f"{_place(self._source, self._lines, key)}: {message}")


def _place(source: str, lines: Mapping[str, int], key: str) -> str:
    line = lines.get(key)
    return f"{source}: {key}" if line is None else f"{source}:{line}: {key}"


def _meant(key: str) -> str:
    near = difflib.get_close_matches(key, KEYS, 1)
    return f"expected {near[0]}" if near else f"expected one of {', '.join(KEYS)}, {_SAMPLES}"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a table"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
