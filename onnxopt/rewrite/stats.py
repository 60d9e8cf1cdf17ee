"""What the rules did and declined, kept by the driver so that rules need not."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

_REASONS_PER_RULE = 50


@dataclass
class Stats:
    """Counts of rewrites by rule, and of declined matches by rule and reason.

    Attributes:
        fired: Rewrites made, by rule.
        declined: For each rule, how many places it declined for each reason. A place counts once.
        errors: Rules that raised: (rule, node, message).
        removed: Nodes removed, by operator type.
        added: Nodes added, by operator type.
        notes: What a user should read.
    """

    fired: Counter[str] = field(default_factory=Counter)
    declined: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    errors: list[tuple[str, str, str]] = field(default_factory=list)
    removed: Counter[str] = field(default_factory=Counter)
    added: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    _seen: set[tuple[str, str, str]] = field(default_factory=set)

    def decline(self, rule: str, where: str, reason: str) -> None:
        """Records that a rule's pattern matched at a place and it declined."""
        key = (rule, where, reason)
        if key in self._seen:
            return
        self._seen.add(key)
        reasons = self.declined[rule]
        if reason not in reasons and len(reasons) >= _REASONS_PER_RULE:
            reason = "other reasons"
        reasons[reason] += 1

    def error(self, rule: str, where: str, message: str) -> None:
        """Records that a rule raised an exception at a place."""
        self.errors.append((rule, where, message))

    def note(self, text: str) -> None:
        """Records something a user should read, once."""
        if text not in self.notes:
            self.notes.append(text)

    def to_json(self) -> dict[str, Any]:
        """Returns the counts as plain data."""
        return {
            "fired": dict(self.fired.most_common()),
            "declined": {r: dict(c.most_common()) for r, c in sorted(self.declined.items())},
            "errors": [list(e) for e in self.errors],
            "removed": dict(self.removed.most_common()),
            "added": dict(self.added.most_common()),
            "notes": list(self.notes),
        }
