"""What a user should know of a conversion: what stays in single precision and why, what becomes of constants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from onnxopt.rewrite import Stats
from onnxopt.rewrite.addresses import Addresses

from ._counterparts import RULE
from ._kinds import HEAVY
from ._operands import spelt
from ._plan import Plan

_FLUSHED = 0.1
_SHOWN = 3


def report(stats: Stats, plan: Plan, addresses: Addresses) -> None:
    """Records the account of a plan.

    Args:
        stats: Takes it.
        plan: The decisions.
        addresses: Tells the nodes apart.
    """
    for node, reason in plan.reasons.items():
        stats.decline(RULE, addresses.of(node), f"{node.op_type}: {reason}")
    if not plan.pays:
        stats.note(f"{RULE}: nothing that is worth it can be computed in {spelt(plan.to)}")
    refused = Counter(n.op_type for n in plan.unsupported if n.op_type in HEAVY)
    if refused:
        parts = ", ".join(f"{count} {op_type}" for op_type, count in refused.most_common())
        stats.note(
            f"{RULE}: {parts} stay in float32, since they do not take {spelt(plan.to)} at this opset; "
            "--opset converts to another"
        )
    masks = [v.name or "" for v, found in plan.surveys.items() if found.masks and not found.reason]
    if masks:
        stats.note(
            f"{RULE}: mask values beyond the range of {spelt(plan.to)} become its extremes: "
            f"{_some(masks)}"
        )
    flushed = {v.name: s.flushed for v, s in plan.surveys.items() if s.flushed > _FLUSHED}
    if flushed:
        worst = sorted(flushed, key=lambda name: -flushed[name])
        shares = [f"{name} ({100 * flushed[name]:.0f}%)" for name in worst]
        stats.note(f"{RULE}: numbers too small for {spelt(plan.to)} become zero in {_some(shares)}")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
