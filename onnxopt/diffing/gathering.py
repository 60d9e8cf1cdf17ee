"""Nodes that were added together with others, by what their metadata says."""

from __future__ import annotations

from dataclasses import replace

from .result import Change

_GATHERING = frozenset({"fused", "replaced", "changed"})


def gathered(changes: list[Change]) -> list[Change]:
    """Joins nodes that were added to the change that already has all the nodes they stand for.

    Args:
        changes: All changes.

    Returns:
        The same, fewer of them.
    """
    homes: dict[str, int] = {}
    for position, change in enumerate(changes):
        if change.kind in _GATHERING:
            homes.update({place.name: position for place in change.before})
    kept = list(changes)
    joined = set()
    for position, change in enumerate(changes):
        found = {homes.get(name) for name in change.sources}
        if change.kind != "added" or not found or None in found:
            continue
        home = min(number for number in found if number is not None)
        kept[home] = _with(kept[home], change)
        joined.add(position)
    return [change for position, change in enumerate(kept) if position not in joined]


def _with(change: Change, added: Change) -> Change:
    rules = tuple(dict.fromkeys((*change.rules, *added.rules)))
    after = (*change.after, *added.after)
    kind = "fused" if len(after) < len(change.before) else "replaced"
    return replace(change, kind=kind, after=after, rules=rules)
