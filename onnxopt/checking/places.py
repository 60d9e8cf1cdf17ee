"""On which line of a TOML text a key stands; the standard library's parser does not tell."""

from __future__ import annotations

import re

_TABLE = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+|\s*\.\s*)+?)\s*=""")
_AT_LINE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")


def key_lines(text: str) -> dict[str, int]:
    """Finds the first line of each table and key.

    Args:
        text: A TOML document.

    Returns:
        Lines, from 1, by dotted name without quotes: ``"max_bytes"``, ``"samples"``, ``"samples.inputs"``.
    """
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TABLE.match(line):
            table = _plain(header[1])
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            name = _plain(key[1])
            found.setdefault(f"{table}.{name}" if table else name, number)
            if not table:
                found.setdefault(name.partition(".")[0], number)
    return found


def split_error(message: str, text: str) -> tuple[str, int]:
    """Takes the line out of a message of the standard library's parser.

    Args:
        message: What it says, such as ``"Invalid value (at line 3, column 9)"``.
        text: What it read.

    Returns:
        The message without the place, and the line, from 1.
    """
    place = _AT_LINE.search(message)
    if place is None:
        return message, 1
    line = int(place[1]) if place[1] else max(1, len(text.splitlines()))
    return message[: place.start()], line


def _plain(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))
