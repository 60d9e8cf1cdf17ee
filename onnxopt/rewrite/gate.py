"""Where each rewrite asks leave: the count limit, the banned sites, and the log, in one place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field


@dataclass
class Gate:
    """Admits rewrites one by one.

    Attributes:
        limit: How many rewrites to admit at most; None for any number.
        banned: Sites (``rule@node``) that are never admitted.
        log: The sites admitted so far, in order.
    """

    limit: int | None = None
    banned: Collection[str] = frozenset()
    log: list[str] = field(default_factory=list)
    _seen: Counter[str] = field(default_factory=Counter)

    def site(self, rule: str, where: str) -> str:
        """Returns the identity of the next rewrite by ``rule`` at ``where``.

        It is the same in every run over the same model. A rule that fires more than once at a place
        numbers the later ones.
        """
        base = f"{rule}@{where}"
        count = self._seen[base]
        return base if count == 0 else f"{base}#{count + 1}"

    def admits(self, rule: str, where: str) -> bool:
        """Tells whether a rewrite may go ahead now."""
        if self.limit is not None and len(self.log) >= self.limit:
            return False
        return self.site(rule, where) not in self.banned

    def record(self, rule: str, where: str) -> str:
        """Notes that an admitted rewrite was made, and returns its site."""
        site = self.site(rule, where)
        self._seen[f"{rule}@{where}"] += 1
        self.log.append(site)
        return site
