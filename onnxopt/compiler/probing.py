"""Where the error begins: the values inside of the original and of the result, on the same inputs.

Both models are written with values inside as further outputs and validated like any other pair. What is found are the
nodes to blame:

- whose results, in the original, are beyond the range of the shorter type, and those that read them;
- else those whose results differ although what they read agrees, and those that make what they read.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import onnx_ir as ir

from ..analysis.facts import Facts
from ..io import save
from ..rewrite.editor import where

if TYPE_CHECKING:
    from ..runtime.validation import OutputResult
    from .verify import Verifier

_MOST = 128
_FIRST = 4
_CLEAN = 100.0
_PATIENT = 3
"""Rounds after which all that the worst error depends on is kept, not the nodes where it begins alone."""
_LARGEST = {"float16": 65504.0}
_FLOATS = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16)


@dataclass(frozen=True)
class Finding:
    """A node to keep in single precision, by the name it is known by, and why."""

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
        self._facts = Facts(before)
        self._verifier = verifier
        self._working_type = working_type
        self._rounds = 0

    def look(self, candidate: ir.Model, failed: Sequence[str], kept: set[str]) -> list[Finding]:
        """Finds the nodes to blame.

        Args:
            candidate: The result that does not match.
            failed: The outputs that differ.
            kept: The names of nodes that are kept already.

        Returns:
            What to keep besides; empty where nothing inside tells.
        """
        self._rounds += 1
        outputs = [v for v in self._before.graph.outputs if v.name in failed]
        values = self._shared(candidate, self._behind(outputs))
        coarse = values[:: -(-len(values) // _MOST) or 1]
        figures = self._measure(candidate, coarse)
        found = self._too_large(figures, kept)
        if found:
            return found
        if len(coarse) < len(values):
            figures = self._measure(candidate, self._closer(values, coarse, figures))
        return self._begins(figures, kept)

    def _closer(
        self,
        values: list[ir.Value],
        coarse: list[ir.Value],
        figures: dict[str, OutputResult],
    ) -> list[ir.Value]:
        """The values between the last of some that agrees and the first that does not."""
        bad = next((i for i, v in enumerate(coarse) if _differs(figures, v)), len(coarse) - 1)
        start = values.index(coarse[bad - 1]) if bad else 0
        return values[start : start + _MOST]

    def _behind(self, values: Iterable[ir.Value | None]) -> set[ir.Node]:
        """The nodes that values depend on."""
        found: set[ir.Node] = set()
        stack = [n for v in values if v is not None and (n := v.producer()) is not None]
        while stack:
            node = stack.pop()
            if node not in found:
                found.add(node)
                stack += [n for v in node.inputs if v is not None and (n := v.producer())]
        return found

    def _shared(self, candidate: ir.Model, nodes: set[ir.Node]) -> list[ir.Value]:
        """The values of the main graph that both models have, in order."""
        facts = Facts(candidate)
        there = {v.name: v for node in candidate.graph for v in node.outputs}
        return [
            value
            for node in self._before.graph
            if node in nodes and node.op_type != "Constant"
            for value in node.outputs
            if self._facts.dtype(value) == ir.DataType.FLOAT
            and (other := there.get(value.name)) is not None
            and facts.dtype(other) in _FLOATS
        ]

    def _measure(self, candidate: ir.Model, values: Sequence[ir.Value]) -> dict[str, OutputResult]:
        """Compares values inside; gives the figures by name."""
        names = [v.name or "" for v in values]
        with tempfile.TemporaryDirectory(prefix="onnxopt-") as folder:
            paths: list[Path] = []
            for number, model in enumerate((self._before, candidate)):
                path = Path(folder) / f"{number}.onnx"
                with _exposed(model, names):
                    save(model, path)
                paths.append(path)
            found = self._verifier.compare(
                *paths, working_type=self._working_type, as_written=self._as_written
            )
        return {output.name: output for result in found.providers for output in result.outputs}

    def _too_large(self, figures: dict[str, OutputResult], kept: set[str]) -> list[Finding]:
        limit = _LARGEST.get(self._working_type, float("inf"))
        found: dict[str, str] = {}
        for node in self._before.graph:
            for value in node.outputs:
                figure = figures.get(value.name or "")
                if figure is None or figure.peak <= limit:
                    continue
                reason = f"its result reaches {figure.peak:.3g}"
                found.setdefault(where(node), reason)
                for user, _ in value.uses():
                    found.setdefault(where(user), f"it reads what reaches {figure.peak:.3g}")
        return [Finding(name, why) for name, why in found.items() if name not in kept]

    def _begins(self, figures: dict[str, OutputResult], kept: set[str]) -> list[Finding]:
        """The nodes at which a difference begins, the worst first; more of them in each round."""
        starts: list[tuple[float, str, ir.Node]] = []
        for node in self._before.graph:
            worst = [figures[v.name or ""] for v in node.outputs if _differs(figures, v)]
            if worst and not any(v is not None and _differs(figures, v) for v in node.inputs):
                figure = min(worst, key=_snr)
                starts.append((_snr(figure), figure.detail, node))
        starts.sort(key=lambda start: start[0])
        if not starts:
            return self._grows(figures, kept)
        found: dict[str, str] = {}
        patient = self._rounds <= _PATIENT
        for _, detail, node in starts[: _FIRST * 2**self._rounds if patient else 1]:
            blamed = self._unkept(node, kept)
            if not patient:
                behind = self._behind(node.inputs)
                blamed += [n for n in self._before.graph if n in behind and where(n) not in kept]
            for each in blamed:
                found[where(each)] = f"the error begins at {where(node)}: {detail}"
        return [Finding(name, reason) for name, reason in found.items()]

    def _grows(self, figures: dict[str, OutputResult], kept: set[str]) -> list[Finding]:
        """Where nothing inside differs by itself: the nodes that add most to the error."""
        drops: list[tuple[float, float, ir.Node]] = []
        for node in self._before.graph:
            made = [_snr(figures[v.name or ""]) for v in node.outputs if v.name in figures]
            read = [
                _snr(figures[v.name]) for v in node.inputs if v is not None and v.name in figures
            ]
            if made and where(node) not in kept:
                drops.append((min([*read, _CLEAN]) - min([*made, _CLEAN]), min(made), node))
        drops.sort(key=lambda drop: -drop[0])
        return [
            Finding(where(node), f"the error grows here, to {snr:.0f} dB below the values")
            for drop, snr, node in drops[: _FIRST * 2**self._rounds]
            if drop > 0
        ]

    def _unkept(self, node: ir.Node, kept: set[str]) -> list[ir.Node]:
        """A node and those that make what it reads; where they are kept, those before them."""
        level, seen = [node], {node}
        while level:
            read = [v for m in level for v in m.inputs if self._facts.dtype(v) == ir.DataType.FLOAT]
            makers = [n for v in read if v is not None and (n := v.producer())]
            makers = [n for n in dict.fromkeys(makers) if n not in seen and n.op_type != "Constant"]
            fresh = [n for n in (*level, *makers) if where(n) not in kept]
            if fresh:
                return fresh
            seen.update(makers)
            level = makers
        return []


def _differs(figures: dict[str, OutputResult], value: ir.Value) -> bool:
    """Whether a value is out of tolerance. What noise excuses counts as well: it is where errors come from."""
    figure = figures.get(value.name or "")
    return figure is not None and (figure.differing > 0 or figure.verdict == "differs")


def _snr(figure: OutputResult) -> float:
    if figure.snr_db is None:
        return -math.inf if figure.differing else math.inf
    return figure.snr_db


@contextmanager
def _exposed(model: ir.Model, names: Sequence[str]) -> Iterator[None]:
    """Makes outputs of values inside of the main graph, for a while."""
    outputs = model.graph.outputs
    returned = {v.name for v in outputs}
    there = {v.name: v for node in model.graph for v in node.outputs}
    shown = [there[name] for name in names if name not in returned]
    facts = Facts(model)
    untyped = [v for v in shown if v.type is None]
    for value in untyped:
        dtype = facts.dtype(value)
        value.type = None if dtype is None else ir.TensorType(dtype)
    outputs.extend(shown)
    try:
        yield
    finally:
        for _ in shown:
            outputs.pop()
        for value in untyped:
            value.type = None
