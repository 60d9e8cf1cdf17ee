"""The simplifier of the project onnxsim as one pass.

It works on a copy of the whole model in memory, weights included, and its result replaces the model.
Where it is not installed, or refuses the model, the pass does nothing and says so.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import ClassVar

from onnxopt.io import from_proto, to_proto
from onnxopt.pipeline.base import Context, Pass

_LIMIT = 2**31 - 1


@dataclass(frozen=True)
class Onnxsim(Pass):
    """Runs onnxsim over the model."""

    name: ClassVar[str] = "onnxsim"
    summary: ClassVar[str] = "Run the simplifier onnxsim over the model, where it is installed."
    exact: ClassVar[bool] = False

    def run(self, context: Context) -> int:
        """Simplifies, or notes why not."""
        if importlib.util.find_spec("onnxsim") is None:
            context.stats.note("the pass onnxsim was skipped: onnxsim is not installed")
            return 0
        model = context.model
        size = sum(v.const_value.nbytes for v in model.graph.initializers.values() if v.const_value)
        if size > _LIMIT:
            context.stats.note("the pass onnxsim was skipped: the model is larger than 2 GB")
            return 0
        if not context.gate.admits(self.name, model.graph.name or "graph"):
            return 0
        simplify = importlib.import_module("onnxsim").simplify
        try:
            simplified, _ = simplify(to_proto(model))
        except Exception as error:
            reason = str(error).strip().splitlines()[0] if str(error) else type(error).__name__
            context.stats.note(f"the pass onnxsim was skipped: {reason}")
            return 0
        new = from_proto(simplified)
        before = model.graph.num_nodes()
        context.adopt(new)
        context.gate.record(self.name, model.graph.name or "graph")
        context.stats.fired[self.name] += 1
        removed: int = before - new.graph.num_nodes()
        return max(1, removed)
