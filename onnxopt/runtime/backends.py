"""What executes a model: onnxruntime, or onnx's reference evaluator where onnxruntime cannot.

Both are used through the same small interface. A backend opens one model at a time.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from onnxopt.runtime import providers as provider_names
from onnxopt.runtime.sessions import Level, load_onnxruntime, make_session
from onnxopt.runtime.tensors import run_session

ONNXRUNTIME = "onnxruntime"
REFERENCE = "onnx-reference-evaluator"


class Runnable(Protocol):
    """A loaded model."""

    inputs: list[str]
    """Inputs that must be fed."""

    overridable: list[str]
    """Inputs that have an initializer as default."""

    outputs: list[str]
    """Outputs, in graph order."""

    types: dict[str, str]
    """Types of the inputs as onnxruntime writes them, such as ``tensor(float16)``; empty where unknown."""

    def run(self, feed: Mapping[str, Any]) -> dict[str, Any]:
        """Run on one feed; returns output name -> value, in graph order."""


class Backend:
    """Opens models on one provider.

    Args:
        kind: `ONNXRUNTIME` or `REFERENCE`.
        provider: full provider name (ignored by the reference evaluator).
        custom_op_libraries: shared libraries that register custom operators.
        threads: intra-op threads; None for all cores.
    """

    def __init__(
        self,
        kind: str,
        provider: str,
        custom_op_libraries: Sequence[str] = (),
        threads: int | None = None,
    ) -> None:
        self.kind = kind
        self._provider = provider
        self._libraries = custom_op_libraries
        self._threads = threads

    def open(self, path: str, *, level: Level, seed: int = 0) -> Runnable:
        """Load a model.

        Args:
            path: the model file (external data is found beside it).
            level: graph optimisation level (the reference evaluator has none).
            seed: seed of random operators that have none of their own.
        """
        gc.collect()  # two sessions never exist at once
        if self.kind == REFERENCE:
            return _Reference(path)
        load_onnxruntime().set_seed(seed)
        return _Session(
            make_session(
                path,
                level=level,
                providers=provider_names.chain(self._provider),
                threads=self._threads,
                custom_op_libraries=self._libraries,
            )
        )

    def versions(self) -> dict[str, str]:
        """Names and versions of what executes."""
        if self.kind == REFERENCE:
            import onnx

            return {"onnx": str(onnx.__version__)}
        return {"onnxruntime": str(load_onnxruntime().__version__)}


class _Session:
    def __init__(self, session: Any) -> None:
        self._session = session
        self.inputs = [item.name for item in session.get_inputs()]
        self.overridable = [item.name for item in session.get_overridable_initializers()]
        self.outputs = [item.name for item in session.get_outputs()]
        self.types = {item.name: item.type for item in session.get_inputs()}

    def run(self, feed: Mapping[str, Any]) -> dict[str, Any]:
        return dict(zip(self.outputs, run_session(self._session, feed), strict=True))


class _Reference:
    def __init__(self, path: str) -> None:
        import onnx
        from onnx.reference import ReferenceEvaluator

        model = onnx.load(path)
        self._evaluator = ReferenceEvaluator(model)
        initializers = {tensor.name for tensor in model.graph.initializer}
        initializers |= {tensor.values.name for tensor in model.graph.sparse_initializer}
        names = [item.name for item in model.graph.input]
        self.inputs = [name for name in names if name not in initializers]
        overridable = model.ir_version >= 4
        self.overridable = [name for name in names if name in initializers and overridable]
        self.outputs = [item.name for item in model.graph.output]
        self.types: dict[str, str] = {}

    def run(self, feed: Mapping[str, Any]) -> dict[str, Any]:
        results = self._evaluator.run(None, dict(feed))
        return dict(zip(self.outputs, results, strict=True))
