"""What changed between two models, as the rows of tables that every kind of report shows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .text import change, count, error, scaled, size

if TYPE_CHECKING:
    from ..diffing.result import Change, ModelDiff, Place, Total, WeightChange

_NAMES = 4
_WHAT = {
    "fused": "Fused",
    "replaced": "Replaced",
    "folded": "Folded into constants",
    "merged": "Merged with equal ones",
    "lifted": "Now initializers",
    "removed": "Removed",
    "changed": "Changed",
    "retyped": "Other type",
    "moved": "Moved",
    "added": "Added",
}
_ALONE = frozenset({"folded", "merged", "lifted", "removed", "added"})


@dataclass(frozen=True)
class Section:
    """A table.

    Attributes:
        title: Heading of the first column.
        headings: Of the others; those that begin with ``<`` are left-aligned.
        rows: Cells, one more than ``headings``.
        more: Rows left out.
    """

    title: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    more: int = 0


def verdict(diff: ModelDiff) -> str:
    """Says in a sentence or two what is different."""
    if not diff.different:
        names = diff.nodes.renamed + diff.weights.renamed
        return "No difference" + (f", except for {count(names)} names." if names else ".")
    nodes = [f"{count(n)} {kind}" for kind, n in diff.nodes.counts().items()]
    weights = [f"{count(n)} {kind}" for kind, n in diff.weights.counts().items()]
    parts = [
        f"Nodes: {count(diff.nodes.unchanged)} unchanged{_listed(nodes)}.",
        f"Weights: {count(diff.weights.same)} the same{_listed(weights)}.",
    ]
    if diff.interface:
        parts.append(f"Interface: {count(len(diff.interface))} differences.")
    return " ".join(parts)


def _listed(items: Sequence[str]) -> str:
    return f", {', '.join(items)}" if items else ""


def sections(diff: ModelDiff, limit: int | None) -> Iterator[Section]:
    """Yields the tables of a report.

    Args:
        diff: What changed.
        limit: How many rows to show of each table of changes; None for all.
    """
    yield Section("", ("before", "after", "change"), list(_totals(diff.before, diff.after)))
    if diff.interface:
        rows = [(f"{c.what} {c.name}".strip(), c.kind, c.before, c.after) for c in diff.interface]
        yield _cut("Interface", ("<", "<before", "<after"), rows, limit)
    by_kind: dict[str, list[Change]] = defaultdict(list)
    for found in diff.nodes.changes:
        by_kind[found.kind].append(found)
    for kind, changes in by_kind.items():
        yield _nodes(kind, changes, limit)
    weights = sorted(diff.weights.changes, key=lambda c: (c.kind == "merged", -max(c.bytes)))
    if weights:
        headings = ("<", "<type, dims", "bytes", "max abs", "relative", "SNR dB")
        yield _cut("Weights", headings, list(map(_weight, weights)), limit)


def _cut(
    title: str, headings: tuple[str, ...], rows: Sequence[tuple[str, ...]], limit: int | None
) -> Section:
    shown = rows if limit is None else rows[:limit]
    return Section(title, headings, shown, len(rows) - len(shown))


def _totals(before: Total, after: Total) -> Iterator[tuple[str, ...]]:
    yield _row("nodes", before.nodes, after.nodes, count(before.nodes), count(after.nodes))
    if before.file_bytes is not None and after.file_bytes is not None:
        old, new = before.file_bytes, after.file_bytes
        yield _row("file size", old, new, size(old), size(new))
    old, new = before.weight_bytes, after.weight_bytes
    yield _row("weights", old, new, size(old), size(new))
    yield _row("MACs", before.macs, after.macs, scaled(before.macs), scaled(after.macs))
    ops = {op: (before.ops.get(op, 0), after.ops.get(op, 0)) for op in {**before.ops, **after.ops}}
    different = [(op, old, new) for op, (old, new) in ops.items() if old != new]
    for op, old, new in sorted(different, key=lambda row: (-abs(row[1] - row[2]), row[0])):
        yield (f"  {op}", count(old), count(new), f"{new - old:+,}")


def _row(name: str, before: int, after: int, shown: str, shown_after: str) -> tuple[str, ...]:
    return (name, shown, shown_after, change(before, after))


def _nodes(kind: str, changes: list[Change], limit: int | None) -> Section:
    if kind in _ALONE:
        rows = list(_alone(changes))
        return _cut(_WHAT[kind], ("nodes", "<operators", "<such as"), rows, limit)
    alike: dict[tuple[str, str, tuple[str, ...]], list[Change]] = defaultdict(list)
    for found in changes:
        alike[_ops(found.before), _ops(found.after), found.rules].append(found)
    rows = [
        (before, after, count(len(same)), _how(same[0]), _place(same[0].after[0]))
        for (before, after, _), same in sorted(alike.items(), key=lambda item: -len(item[1]))
    ]
    return _cut(_WHAT[kind], ("<to", "times", "<how", "<such as"), rows, limit)


def _how(found: Change) -> str:
    return "; ".join((*found.details, *map(_rule, found.rules)))


def _ops(places: Sequence[Place]) -> str:
    ops = Counter(place.op for place in places)
    return ", ".join(op if n == 1 else f"{n} {op}" for op, n in ops.items())


def _rule(name: str) -> str:
    return f"by {name}"


def _alone(changes: list[Change]) -> Iterator[tuple[str, ...]]:
    """One row for each reason."""
    reasons: dict[str, list[Place]] = defaultdict(list)
    for found in changes:
        reasons[_how(found)].extend(found.before or found.after)
    for why, places in sorted(reasons.items(), key=lambda item: -len(item[1])):
        ops: dict[str, int] = defaultdict(int)
        for place in places:
            ops[place.op] += 1
        listed = [f"{n} {op}" for op, n in sorted(ops.items(), key=lambda item: -item[1])]
        yield (why or "new", count(len(places)), _short(listed), _place(places[0]))


def _place(place: Place) -> str:
    return f"{place.scope}: {place.name}" if place.scope else place.name


def _short(items: Sequence[str]) -> str:
    if len(items) <= _NAMES:
        return ", ".join(items)
    return f"{', '.join(items[:_NAMES])} and {len(items) - _NAMES} more"


def _weight(found: WeightChange) -> tuple[str, ...]:
    names = [name for name in dict.fromkeys((found.before, found.after)) if name]
    kinds = [
        f"{t} {list(d)}" for t, d in zip(found.types, found.dims, strict=True) if d is not None
    ]
    figures = found.figures
    snr = None if figures is None else figures.snr_db
    return (
        " → ".join(names),
        found.kind,
        " → ".join(dict.fromkeys(kinds)),
        f"{found.bytes[1] - found.bytes[0]:+,}",
        error(None if figures is None else figures.max_abs),
        error(None if figures is None else figures.relative),
        "-" if snr is None else f"{snr:.1f}",
    )
