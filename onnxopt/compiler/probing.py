"""Where the error begins: the values inside of the original and of the result, on the same inputs.

Both models are written with values inside as further outputs and validated like any other pair. What is found are the
nodes to blame:

- whose results, in the original, are beyond the range of the shorter type, and those that read them;
- else those whose results differ although what they read agrees, and those that make what they read. In loops that is
  asked of the first iteration, since from the second on a node reads what went wrong after it.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import onnx_ir as ir

from ..analysis.effects import subgraphs
from ..io import save
from ..rewrite.scopes import owner
from .exposing import Inside
from .feeding import makers, readers

if TYPE_CHECKING:
    from ..runtime.validation import OutputResult
    from .verify import Verifier

_MOST = 128
_FIRST = 4
_CLEAN = 100.0
_PATIENT = 3
"""Rounds after which all that the worst error depends on is kept, not the nodes where it begins alone."""
_LARGEST = {"float16": 65504.0}
_INSIDE = "onnxopt.value:"
_FLOATS = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16)


Figures = dict[ir.Value, "OutputResult"]


@dataclass(frozen=True)
class Finding:
    """A node to keep in single precision, by its address, and why."""

    name: str
    reason: str


class Probe:
    """Compares values inside of two models, as often as asked.

    Args:
        before: The original, with the passes that come before the conversion.
        verifier: Runs both.
        working_type: The shorter type.
        as_written: Whether to run results without the runtime's own optimisations.
    """

    def __init__(
        self, before: ir.Model, verifier: Verifier, working_type: str, *, as_written: bool
    ) -> None:
        self._as_written = as_written
        self._before = before
        self._inside = Inside(before)
        self._addresses = self._inside.addresses
        self._verifier = verifier
        self._working_type = working_type
        self._rounds = 0

    def look(self, candidate: ir.Model, failed: Sequence[str], kept: set[str]) -> list[Finding]:
        """Finds the nodes to blame.

        Args:
            candidate: The result that does not match.
            failed: The outputs that differ.
            kept: The addresses of nodes that are kept already.

        Returns:
            What to keep besides; empty where nothing inside tells.
        """
        self._rounds += 1
        there = Inside(candidate)
        outputs = [v for v in self._before.graph.outputs if v.name in failed]
        values = self._shared(there, self._behind(outputs))
        coarse = values[:: -(-len(values) // _MOST) or 1]
        figures = self._measure(there, coarse)
        found = self._too_large(figures, kept)
        if found:
            return found
        chosen = coarse
        if len(coarse) < len(values):
            chosen = self._closer(values, coarse, figures)
        if chosen is not coarse or any(self._holder(value) for value in chosen):
            figures = self._measure(there, chosen, first=True)
        return self._begins(figures, kept)

    def _closer(
        self, values: list[ir.Value], coarse: list[ir.Value], figures: Figures
    ) -> list[ir.Value]:
        """The values between the last of some that agrees and the first that does not."""
        bad = next((i for i, v in enumerate(coarse) if _differs(figures, v)), len(coarse) - 1)
        start = values.index(coarse[bad - 1]) if bad else 0
        return values[start : start + _MOST]

    def _holder(self, value: ir.Value) -> ir.Node | None:
        """The node in whose body a value is made."""
        maker = value.producer()
        return None if maker is None else self._addresses.holder(owner(maker))

    def _behind(self, values: Iterable[ir.Value | None]) -> set[ir.Node]:
        """The nodes that values depend on."""
        found: set[ir.Node] = set()
        stack = [n for v in values if v is not None for n in makers(v, self._addresses)]
        while stack:
            node = stack.pop()
            if node not in found:
                found.add(node)
                stack += [
                    n for v in node.inputs if v is not None for n in makers(v, self._addresses)
                ]
                stack += [inner for graph in subgraphs(node) for inner in graph]
        return found

    def _shared(self, there: Inside, nodes: set[ir.Node]) -> list[ir.Value]:
        """The values that both models have, in order."""
        return [
            value
            for key, value in self._inside.values.items()
            if value.producer() in nodes
            and self._inside.facts.dtype(value) == ir.DataType.FLOAT
            and (other := there.values.get(key)) is not None
            and there.facts.dtype(other) in _FLOATS
        ]

    def _measure(
        self, there: Inside, values: Sequence[ir.Value], *, first: bool = False
    ) -> Figures:
        """Compares values inside, of loops in all iterations or in the first."""
        names = {
            v: f"{_INSIDE}{i}" if self._holder(v) else v.name or "" for i, v in enumerate(values)
        }
        outputs = {self._inside.key(v): name for v, name in names.items()}
        with tempfile.TemporaryDirectory(prefix="onnxopt-") as folder:
            paths: list[Path] = []
            for number, model in enumerate((self._inside, there)):
                path = Path(folder) / f"{number}.onnx"
                save(model.exposed(outputs, first=first), path)
                paths.append(path)
            found = self._verifier.compare(
                *paths, working_type=self._working_type, as_written=self._as_written
            )
        figures = {output.name: output for result in found.providers for output in result.outputs}
        return {value: figures[name] for value, name in names.items() if name in figures}

    def _too_large(self, figures: Figures, kept: set[str]) -> list[Finding]:
        limit = _LARGEST.get(self._working_type, float("inf"))
        found: dict[str, str] = {}
        seen_into = {holder for value in figures for holder in self._around(value)}
        for value, figure in figures.items():
            if figure.peak <= limit:
                continue
            maker = value.producer()
            assert maker is not None
            if maker not in seen_into:
                found.setdefault(self._address(maker), f"its result reaches {figure.peak:.3g}")
            for user in readers(value, self._addresses):
                reason = f"it reads what reaches {figure.peak:.3g}"
                found.setdefault(self._address(user), reason)
        return [Finding(name, why) for name, why in found.items() if name not in kept]

    def _address(self, node: ir.Node) -> str:
        return self._addresses.of(node)

    def _begins(self, figures: Figures, kept: set[str]) -> list[Finding]:
        """The nodes at which a difference begins, the worst first; more of them in each round."""
        starts: list[tuple[float, str, ir.Node]] = []
        disturbed = {h for v in figures if _differs(figures, v) for h in self._around(v)}
        for node in self._addresses.nodes:
            worst = [figures[v] for v in node.outputs if _differs(figures, v)]
            read = any(v is not None and _differs(figures, v) for v in node.inputs)
            if worst and not read and node not in disturbed:
                figure = min(worst, key=_snr)
                starts.append((_snr(figure), figure.detail, node))
        starts.sort(key=lambda start: start[0])
        if not starts:
            return self._grows(figures, kept, self._addresses.nodes)
        found: dict[str, Finding] = {}
        patient = self._rounds <= _PATIENT
        for _, detail, node in starts[: _FIRST * 2**self._rounds if patient else 1]:
            inner = self._within(node, figures, kept) if patient else []
            blamed = [] if inner else self._unkept(node, kept)
            if not patient:
                behind = self._behind(node.inputs)
                blamed += [
                    n for n in self._addresses.nodes if n in behind and self._address(n) not in kept
                ]
            reason = f"the error begins at {self._address(node)}: {detail}"
            inner += [Finding(self._address(each), reason) for each in blamed]
            found.update((finding.name, finding) for finding in inner)
        return list(found.values())

    def _around(self, value: ir.Value) -> Iterable[ir.Node]:
        maker = value.producer()
        return () if maker is None else self._addresses.around(maker)

    def _within(self, holder: ir.Node, figures: Figures, kept: set[str]) -> list[Finding]:
        """Where the error grows in the bodies of a node, in which nothing differs by itself."""
        inner = [n for n in self._addresses.nodes if holder in self._addresses.around(n)]
        return self._grows(figures, kept, inner)

    def _grows(self, figures: Figures, kept: set[str], nodes: list[ir.Node]) -> list[Finding]:
        """Where nothing inside differs by itself: the nodes that add most to the error."""
        drops: list[tuple[float, float, ir.Node]] = []
        for node in nodes:
            made = [_snr(figures[v]) for v in node.outputs if v in figures]
            read = [_snr(figures[v]) for v in node.inputs if v is not None and v in figures]
            if made and self._address(node) not in kept:
                drops.append((min([*read, _CLEAN]) - min([*made, _CLEAN]), min(made), node))
        drops.sort(key=lambda drop: -drop[0])
        return [
            Finding(self._address(node), f"the error grows here, to {snr:.0f} dB below the values")
            for drop, snr, node in drops[: _FIRST * 2**self._rounds]
            if drop > 0
        ]

    def _unkept(self, node: ir.Node, kept: set[str]) -> list[ir.Node]:
        """A node and those that make what it reads; where they are kept, those before them."""
        single = self._inside.facts.dtype
        level, seen = [node], {node}
        while level:
            read = [v for m in level for v in m.inputs if single(v) == ir.DataType.FLOAT]
            made = dict.fromkeys(n for v in read if v is not None and (n := v.producer()))
            before = [n for n in made if n not in seen and n.op_type != "Constant"]
            fresh = [n for n in (*level, *before) if self._address(n) not in kept]
            if fresh:
                return fresh
            seen.update(before)
            level = before
        return []


def _differs(figures: Figures, value: ir.Value) -> bool:
    """Whether a value is out of tolerance. What noise excuses counts as well: it is where errors come from."""
    figure = figures.get(value)
    return figure is not None and (figure.differing > 0 or figure.verdict == "differs")


def _snr(figure: OutputResult) -> float:
    if figure.snr_db is None:
        return -math.inf if figure.differing else math.inf
    return figure.snr_db
