"""Targets: the list of those that ship, and one in full, compared with the installed runtime."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir
from rich.console import Console
from rich.table import Table

from ..compiler.aim import aim
from ..compiler.plan import pipeline_of
from ..targets.load import TYPES, load_target, target_names
from ..targets.target import Target

_NAMES = {dtype: name for name, dtype in TYPES.items()}


@dataclass(frozen=True)
class Profile:
    """A target as its file says, and what the installed runtime lacks of it.

    Attributes:
        target: The target.
        missing: Operators that the installed runtime has no kernel for, as ``domain.Operator``; None where it
            cannot be told, because a provider is not installed.
    """

    target: Target
    missing: tuple[str, ...] | None

    def to_json(self) -> dict[str, Any]:
        """Returns all of it as plain data."""
        target = self.target
        return {
            "name": target.name,
            "summary": target.summary,
            "providers": list(target.providers),
            "prepare": target.prepare,
            "pipeline": target.pipeline,
            "choices": {name: [list(a) for a in found] for name, found in target.choices.items()},
            "tentative": list(target.tentative),
            "domains": dict(target.domains),
            "kernels": _kernels(target),
            "avoid": sorted(target.avoid),
            "separate_weights_above": target.separate_weights_above,
            "epilogues": _sorted(target.epilogues),
            "keep": _sorted(target.keep),
            "reasons": dict(target.reasons),
            "quantize": _quantisation(target),
            "missing": None if self.missing is None else list(self.missing),
            "source": target.source,
        }


def profile(name: str) -> Profile:
    """Reads a target and compares it with the installed runtime.

    Args:
        name: The name of one that ships, or the path of a ``.toml`` file.

    Raises:
        UsageError: There is no such target, or its file is faulty.
    """
    target = load_target(name)
    pipeline_of(target, "prepare")
    pipeline_of(target)
    aiming = aim(name)
    known = aiming.compared or not target.kernels
    return Profile(target, aiming.missing if known else None)


def profiles() -> list[Profile]:
    """Reads every target that ships."""
    return [profile(name) for name in target_names()]


def _quantisation(target: Target) -> dict[str, Any] | None:
    if target.quantize is None:
        return None
    found = dataclasses.asdict(target.quantize)
    return {key: sorted(v) if isinstance(v, frozenset) else v for key, v in found.items()}


def _kernels(target: Target) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {}
    for (domain, op_type), dtypes in sorted(target.kernels.items()):
        found.setdefault(domain, {})[op_type] = _types(dtypes)
    return found


def _types(dtypes: Collection[ir.DataType]) -> list[str]:
    order = list(_NAMES)
    return [_NAMES[dtype] for dtype in sorted(dtypes, key=order.index)]


def _sorted(sets: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    return {name: sorted(items) for name, items in sorted(sets.items())}


def render_all(out: Console, profiles: Sequence[Profile]) -> None:
    """Prints every target in a line."""
    grid = _grid()
    for p in profiles:
        grid.add_row(f"  {p.target.name}", ", ".join(p.target.providers) or "any", p.target.summary)
    out.print(grid)
    out.print(
        "\n`onnxopt targets NAME` tells more; NAME may be the path of a .toml file, as for --target.",
        style="dim",
    )


def render_one(out: Console, found: Profile) -> None:
    """Prints all there is to know about a target."""
    target = found.target
    out.print(target.name, style="bold", end="")
    out.print(f"  {target.summary}")
    _lines(out, "Providers", target.providers)
    _lines(out, "Pipeline", _pipeline(target))
    _choices(out, target)
    _operators(out, found)
    _lines(out, "What the runtime must not fuse into", sorted(target.avoid))
    if target.separate_weights_above is not None:
        size = f"above {target.separate_weights_above:,} bytes"
        _lines(out, "Weights in a file of their own, which loads faster", [size])
    _sets(out, "What fused operators can do to their result", target.epilogues, {})
    kept = {f"converted to {to}": operators for to, operators in target.keep.items()}
    _sets(out, "What stays in float32", kept, target.reasons)
    _lines(out, "What is quantised", _quantised(target))
    if target.source != target.name:
        _lines(out, "File", [target.source])


def _pipeline(target: Target) -> list[str]:
    parts = (
        (target.prepare, "before the level's own, at -O3"),
        (target.pipeline, "after the level's own, from -O2 on"),
    )
    return [f"{text}  ({when})" for text, when in parts if text]


def _choices(out: Console, target: Target) -> None:
    if not target.choices:
        return
    out.print("\nWhat -O3 measures", style="bold")
    grid = _grid()
    for name, alternatives in target.choices.items():
        note = "only where measured faster" if name in target.tentative else ""
        grid.add_row(f"  {name}", note, " or ".join(", ".join(a) for a in alternatives))
    out.print(grid)


def _operators(out: Console, found: Profile) -> None:
    for domain, operators in _kernels(found.target).items():
        version = found.target.domains.get(domain)
        title = f"{domain} {version}" if domain else "the standard, that it has"
        out.print(f"\nOperators of {title}", style="bold")
        grid = _grid()
        for op_type, types in operators.items():
            lacks = f"{domain}.{op_type}" in (found.missing or ())
            note = "not in the installed onnxruntime" if lacks else ""
            grid.add_row(f"  {op_type}", ", ".join(types), note)
        out.print(grid)
    if found.missing is None:
        out.print(
            "  not compared with the installed onnxruntime: it lacks the provider", style="dim"
        )


def _quantised(target: Target) -> list[str]:
    table = target.quantize
    if table is None:
        return []
    types = f"activations {table.activations}, weights {table.weights} by {table.granularity}"
    lines = [f"by default: {table.mode}" if table.mode == "weight-only" else types]
    for title, found in (
        ("operators with weights", table.weighted),
        ("where all they read is quantised", table.joined),
        ("moving quantised values", table.carried),
    ):
        if found:
            lines.append(f"{title}: {', '.join(sorted(found))}")
    return lines


def _sets(
    out: Console, title: str, sets: Mapping[str, Collection[str]], reasons: Mapping[str, str]
) -> None:
    if not sets:
        return
    out.print(f"\n{title}", style="bold")
    grid = _grid()
    for name, found in _sorted(sets).items():
        items = ["*"] if "*" in found else found
        grid.add_row(f"  {name}", "", ", ".join(items))
        for item in items:
            if item in reasons:
                grid.add_row("", "", f"{item}: {reasons[item]}")
    out.print(grid)


def _lines(out: Console, title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    out.print(f"\n{title}", style="bold")
    for line in lines:
        out.print(f"  {line}")


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(style="dim")
    grid.add_column()
    return grid
