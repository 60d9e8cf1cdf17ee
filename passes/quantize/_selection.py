"""Which nodes a user wants quantised: by their names, their results', their weights', or their operators'."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

import onnx_ir as ir

from onnxopt.analysis.constants import constant_of
from onnxopt.errors import UsageError

SEPARATOR = ";"


@dataclass(frozen=True)
class Selection:
    """Patterns of the shell, of which one has to match a name of a node.

    Attributes:
        include: What to take; everything where there are none.
        exclude: What to leave.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @staticmethod
    def of(include: str, exclude: str) -> Selection:
        """Reads two options, whose names are separated by ``;``."""
        return Selection(_words(include), _words(exclude))

    def check(self, nodes: Iterable[ir.Node], purpose: str = "include") -> None:
        """Refuses patterns that match nothing.

        Args:
            nodes: All nodes.
            purpose: What is done to what is included, for the message.

        Raises:
            UsageError: A pattern matches no name, result, constant or operator of the nodes.
        """
        if not (self.include or self.exclude):
            return
        known = list(dict.fromkeys(name for node in nodes for name in _names(node)))
        for option, patterns in ((purpose, self.include), ("exclude", self.exclude)):
            for pattern in patterns:
                if not _matches([pattern], known):
                    raise UsageError(
                        f"nothing to {option} is called {pattern!r}{_hint(pattern, known)}"
                    )

    def takes(self, node: ir.Node) -> bool:
        """Whether a node is to be quantised."""
        return not self.refusal(node)

    def refusal(self, node: ir.Node) -> str:
        """Why a node is left as it is, or ''."""
        pattern = self.excluding(node)
        if pattern:
            return f"left out by {pattern!r}"
        if self.include and not _matches(self.include, _names(node)):
            return "not among what is included"
        return ""

    def excluding(self, node: ir.Node) -> str:
        """The pattern by which the user leaves a node out, or ''."""
        if not self.exclude:
            return ""
        names = _names(node)
        return next((pattern for pattern in self.exclude if _matches([pattern], names)), "")


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(SEPARATOR) if word.strip())


def _names(node: ir.Node) -> list[str]:
    held = (v for v in node.inputs if v is not None and constant_of(v) is not None)
    names = (node.name, node.op_type, *(v.name for v in (*held, *node.outputs)))
    return [name for name in names if name]


def _matches(patterns: Iterable[str], names: list[str]) -> bool:
    return any(
        name == pattern or fnmatchcase(name, pattern) for pattern in patterns for name in names
    )


def _hint(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else "; `onnxopt inspect` shows what there is"
