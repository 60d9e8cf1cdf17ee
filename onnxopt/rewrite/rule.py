"""A rule: a pattern plus a pure function that builds what replaces the match, or says why not."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from .builder import Builder
from .match import Match
from .pattern import Op


@dataclass(frozen=True)
class Skip:
    """A rule's answer when its pattern matched but it must leave the graph as it is."""

    reason: str


RuleFunction = Callable[[Match, Builder], "ir.Value | Sequence[ir.Value | None] | Skip"]


@dataclass(frozen=True)
class Rule:
    """A pattern, the function that rewrites its matches, and what a user should know of it.

    Attributes:
        name: Kebab-case name, unique among rules and passes.
        patterns: The patterns that trigger the rule; any of them.
        function: Gets the match and a builder; returns one replacement for each output of the root
            node (None for an output that has no uses), or `Skip`.
        exact: Whether results stay bit-identical.
        summary: One line.
        doc: The whole docstring: the identity, when it declines, an example.
        module: Where the rule is defined.
    """

    name: str
    patterns: tuple[Op, ...]
    function: RuleFunction
    exact: bool
    summary: str
    doc: str
    module: str


def rule(
    *patterns: Op, exact: bool = False, name: str | None = None
) -> Callable[[RuleFunction], Rule]:
    """Turns a function into a `Rule`, named after it.

    Args:
        *patterns: What triggers it; each pattern's root is the node that gets replaced.
        exact: Whether the rewrite keeps results bit-identical.
        name: The rule's name, where the function's own does not do.
    """

    def wrap(function: RuleFunction) -> Rule:
        doc = inspect.getdoc(function) or ""
        return Rule(
            name=name or function.__name__.strip("_").replace("_", "-"),
            patterns=patterns,
            function=function,
            exact=exact,
            summary=doc.partition("\n")[0],
            doc=doc,
            module=function.__module__,
        )

    return wrap
