"""Which nodes a user names: by their name, a result's, their operator, or a pattern of the shell."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import onnx_ir as ir

from onnxopt.errors import UsageError

SEPARATOR = ";"


@dataclass(frozen=True)
class Named:
    """What is to be quantised, and what is not.

    Attributes:
        include: Names and patterns; with none, all nodes.
        exclude: Names and patterns that are left out of those.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def refusal(self, node: ir.Node) -> str:
        """Why a node is not to be touched, or ''."""
        names = _names(node)
        if any(_fits(names, word) for word in self.exclude):
            return "excluded"
        if self.include and not any(_fits(names, word) for word in self.include):
            return "not included"
        return ""


def named(include: str, exclude: str, nodes: Iterable[ir.Node]) -> Named:
    """Reads the two options.

    Args:
        include: Names and patterns, ``;`` between.
        exclude: Likewise.
        nodes: All nodes of the model.

    Raises:
        UsageError: A name or pattern fits no node.
    """
    found = Named(_words(include), _words(exclude))
    words = dict.fromkeys((*found.include, *found.exclude))
    if not words:
        return found
    known: dict[str, None] = {}
    for node in nodes:
        known.update(dict.fromkeys(_names(node)))
    for word in words:
        if not _fits(known, word):
            raise UsageError(
                f"nothing to quantise or leave out is called {word!r}{_hint(word, list(known))}"
            )
    return found


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(SEPARATOR) if word.strip())


def _names(node: ir.Node) -> tuple[str, ...]:
    names = (node.name, node.op_type, *(v.name for v in node.outputs))
    return tuple(name for name in names if name)


def _fits(names: Iterable[str], word: str) -> bool:
    """Whether one of the names is the word, or fits it as a pattern; names may hold brackets."""
    return any(name == word or fnmatchcase(name, word) for name in names)


def _hint(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else "; `onnxopt inspect` shows what there is"
