"""What a child is asked to load, and where it leaves the runtime's graph."""

from __future__ import annotations

from dataclasses import dataclass, field

from onnxopt.runtime.order import Order

SAVED = "saved.onnx"
"""The runtime's graph, in the job folder."""
WEIGHTS = "saved.bin"
"""Its weights, beside it: a graph with large weights inside could not be saved."""


@dataclass
class FusionJob(Order):
    """A model to load.

    Attributes:
        model: its path.
        provider: full provider name.
        custom_op_libraries: paths of shared libraries.
    """

    model: str
    provider: str
    custom_op_libraries: list[str] = field(default_factory=list)
