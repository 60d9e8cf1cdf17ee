"""Passes that do their work wrongly, each in its own way."""

from __future__ import annotations

from typing import Any, ClassVar

import onnx_ir as ir
import pytest

from onnxopt.pipeline.base import Context, Pass
from onnxopt.pipeline.registry import registry
from onnxopt.rewrite import Builder, Match, Rule, op, rule


@rule(op.Tanh("x"))
def wrong_tanh(m: Match, build: Builder) -> ir.Value:
    """Replace Tanh by Sin, which is close to it near zero only."""
    return build.op("Sin", m.value("x"))


class Raises(Pass):
    """Raises."""

    name: ClassVar[str] = "raises"
    summary: ClassVar[str] = "Raise."

    def run(self, context: Context) -> int:  # noqa: ARG002
        """Raises."""
        raise KeyError("lost")


class BehindTheGate(Pass):
    """Changes the model without asking the gate, so that nobody can leave it out."""

    name: ClassVar[str] = "behind-the-gate"
    summary: ClassVar[str] = "Change what the model computes."

    def run(self, context: Context) -> int:
        """Makes a Sin of each Tanh."""
        found = [node for node in context.model.graph if node.op_type == "Tanh"]
        for node in found:
            node.op_type = "Sin"
        return len(found)


class Breaks(Pass):
    """Leaves a value behind that nothing makes."""

    name: ClassVar[str] = "breaks"
    summary: ClassVar[str] = "Break the structure."

    def run(self, context: Context) -> int:
        """Cuts the first node off."""
        node = context.model.graph[-1]
        node.replace_input_with(0, ir.Value(name="nobody"))
        return 1


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes them known for one test."""
    known: dict[str, Any] = registry().passes
    for one in (Raises, BehindTheGate, Breaks):
        monkeypatch.setitem(known, one.name, one)
    found: Rule = wrong_tanh
    monkeypatch.setitem(registry().rules, found.name, found)
