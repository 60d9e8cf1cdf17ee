"""Pipelines as text: ``"clean, (fold-constants, simplify{exact-only=true})*, prune"``.

A pipeline is a list of names, each with options in braces. A group in parentheses followed by ``*``
repeats until nothing changes, followed by ``*3`` at most three times.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..errors import UsageError

_WORD = r"[A-Za-z0-9_][\w.-]*"
_TOKEN = re.compile(rf"\s*(?:{_WORD}|[(){{}},*=]|\"[^\"]*\")")
UNTIL_STABLE = 8


@dataclass(frozen=True)
class Call:
    """One pass by name, with its options as written."""

    name: str
    options: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        if not self.options:
            return self.name
        inside = ",".join(f"{k}={_quoted(v)}" for k, v in self.options.items())
        return f"{self.name}{{{inside}}}"


@dataclass(frozen=True)
class Repeat:
    """A group that runs until a round changes nothing, ``limit`` rounds at most."""

    body: tuple[Call | Repeat, ...]
    limit: int = UNTIL_STABLE

    def __str__(self) -> str:
        inside = ", ".join(str(item) for item in self.body)
        count = "" if self.limit == UNTIL_STABLE else str(self.limit)
        return f"({inside})*{count}"


Step = Call | Repeat


def _quoted(text: str) -> str:
    return text if re.fullmatch(_WORD, text) else f'"{text}"'


def render(steps: tuple[Step, ...]) -> str:
    """Writes a pipeline as text that `parse` reads back."""
    return ", ".join(str(step) for step in steps)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def peek(self) -> str:
        match = _TOKEN.match(self._text, self._at)
        return match.group(0).strip() if match else ""

    def take(self) -> str:
        match = _TOKEN.match(self._text, self._at)
        if match is None:
            raise self.error("a pass name")
        self._at = match.end()
        return match.group(0).strip()

    def done(self) -> bool:
        return not self._text[self._at :].strip()

    def error(self, wanted: str) -> UsageError:
        rest = self._text[self._at :].strip() or "the end"
        return UsageError(f"pipeline: expected {wanted} at {rest[:40]!r} in {self._text!r}")

    def expect(self, mark: str) -> None:
        if self.peek() != mark:
            raise self.error(repr(mark))
        self.take()


def parse(text: str) -> tuple[Step, ...]:
    """Reads a pipeline.

    Raises:
        UsageError: The text is not a pipeline; the message shows where.
    """
    if not text.strip():
        return ()
    reader = _Reader(text)
    steps = _items(reader)
    if not reader.done():
        raise reader.error("',' or the end")
    return steps


def _items(reader: _Reader) -> tuple[Step, ...]:
    steps = [_item(reader)]
    while reader.peek() == ",":
        reader.take()
        steps.append(_item(reader))
    return tuple(steps)


def _item(reader: _Reader) -> Step:
    if reader.peek() == "(":
        return _group(reader)
    name = reader.take()
    if not re.fullmatch(_WORD, name):
        raise UsageError(f"pipeline: expected a pass name, found {name!r}")
    options: dict[str, str] = {}
    if reader.peek() == "{":
        reader.take()
        while reader.peek() != "}":
            key = reader.take()
            reader.expect("=")
            options[key.replace("-", "_")] = reader.take().strip('"')
            if reader.peek() == ",":
                reader.take()
            elif reader.peek() != "}":
                raise reader.error("',' or '}'")
        reader.take()
    return Call(name, options)


def _group(reader: _Reader) -> Repeat:
    reader.expect("(")
    body = _items(reader)
    reader.expect(")")
    limit = 1
    if reader.peek() == "*":
        reader.take()
        limit = int(reader.take()) if reader.peek().isdigit() else UNTIL_STABLE
    return Repeat(body, limit)
