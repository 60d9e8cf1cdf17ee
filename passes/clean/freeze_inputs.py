"""Initializers that are listed as graph inputs, made constant.

Under IR version 3 every initializer had to be listed as an input, so the listing says nothing and
all are constants. From IR version 4 on, only what a caller may override is listed.
Source: the ONNX IR specification, section on graphs, and its change log for version 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from onnxopt.pipeline.base import Context, Pass

_IR_WITH_PLAIN_INITIALIZERS = 4


@dataclass(frozen=True)
class FreezeLegacyInputs(Pass):
    """Takes initializers out of the inputs of models of IR version 3 and raises the version to 4.

    Example: ir_version 3, inputs (x, w), initializer w -> ir_version 4, inputs (x), initializer w
    """

    name: ClassVar[str] = "freeze-legacy-inputs"
    summary: ClassVar[str] = "Make initializers that IR version 3 had to list as inputs constant."

    def run(self, context: Context) -> int:
        """Changes only models below IR version 4.

        Their version is raised even where nothing is listed: other passes make initializers, and
        those may stand outside of the inputs only from version 4 on.
        """
        if context.model.ir_version >= _IR_WITH_PLAIN_INITIALIZERS:
            _mention_overridable(context)
            return 0
        context.model.ir_version = _IR_WITH_PLAIN_INITIALIZERS
        return 1 + _freeze(context)


@dataclass(frozen=True)
class FreezeInputs(Pass):
    """Takes all initializers out of the graph's inputs, so that callers can no longer override them.

    Example: inputs (x, w), initializer w -> inputs (x), initializer w
    """

    name: ClassVar[str] = "freeze-inputs"
    summary: ClassVar[str] = "Make overridable initializers constant; changes the model's inputs."

    def run(self, context: Context) -> int:
        """Freezes at any IR version."""
        return _freeze(context)


def _mention_overridable(context: Context) -> None:
    graph = context.model.graph
    count = sum(v.name in graph.initializers for v in graph.inputs)
    if count:
        context.stats.note(
            f"{count} weights are also inputs, which callers may override, and stay as they are; "
            "--freeze-inputs makes constants of them"
        )


def _freeze(context: Context) -> int:
    graph = context.model.graph
    kept = [v for v in graph.inputs if v.name not in graph.initializers]
    frozen = len(graph.inputs) - len(kept)
    if frozen:
        graph.inputs[:] = kept
        context.refresh()
    return frozen
