"""Which nodes a user wants quantised: names of nodes and of results, operators, and patterns of any of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

import onnx_ir as ir

from onnxopt.errors import UsageError

SEPARATOR = ";"


@dataclass(frozen=True)
class Selection:
    """What to quantise.

    Attributes:
        include: Names, operators and patterns; where there are any, nothing else is quantised.
        exclude: Likewise, of what stays as it is.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @staticmethod
    def of(include: str, exclude: str, nodes: Iterable[ir.Node]) -> Selection:
        """Reads the options of a pass.

        Args:
            include: Entries with ``;`` between.
            exclude: Likewise.
            nodes: All that could be meant.

        Raises:
            UsageError: An entry means no node.
        """
        chosen = Selection(_words(include), _words(exclude))
        known = {name for node in nodes for name in _names(node)}
        for entry in (*chosen.include, *chosen.exclude):
            if not any(fnmatchcase(name, entry) for name in known) and entry not in known:
                raise UsageError(f"nothing to quantise is called {entry!r}{_hint(entry, known)}")
        return chosen

    def refusal(self, node: ir.Node) -> str:
        """Why a node is left as it is, or ''."""
        names = _names(node)
        for entry in self.exclude:
            if _means(entry, names):
                return f"left out by {entry!r}"
        if self.include and not any(_means(entry, names) for entry in self.include):
            return "not among what is included"
        return ""


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(SEPARATOR) if word.strip())


def _names(node: ir.Node) -> list[str]:
    names = (node.name, node.op_type, *(v.name for v in node.outputs))
    return [name for name in names if name]


def _means(entry: str, names: Iterable[str]) -> bool:
    return any(name == entry or fnmatchcase(name, entry) for name in names)


def _hint(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else "; `onnxopt inspect` shows what there is"
