"""A set of rules as a pass."""

from __future__ import annotations

from collections.abc import Sequence

from ..rewrite.driver import Driver
from ..rewrite.rule import Rule
from .base import Context, Pass


class RuleSet(Pass):
    """Applies rules until none fires.

    Args:
        name: The set's name.
        summary: One line.
        rules: Its rules, in the order in which they are tried at a node.
    """

    def __init__(self, name: str, summary: str, rules: Sequence[Rule]) -> None:
        self.name = name  # type: ignore[misc]
        self.summary = summary  # type: ignore[misc]
        self.exact = all(rule.exact for rule in rules)  # type: ignore[misc]
        self.rules = tuple(rules)

    def run(self, context: Context) -> int:
        """Runs the driver over the model with these rules."""
        return Driver(context.editor, self.rules).run()
