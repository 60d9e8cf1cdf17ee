"""What the tests of the passes share: running a pipeline, small models, counting nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx.parser

from onnxopt.io import from_proto, to_proto
from onnxopt.pipeline.manager import Manager, Outcome, Settings
from onnxopt.runtime.evaluate import run_small

Array = np.ndarray[Any, Any]


def parse(text: str, **weights: Array) -> onnx.ModelProto:
    """Parses a model and adds initializers that are too large to write down."""
    model = onnx.parser.parse_model(text)
    for name, array in weights.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return model


def optimise(model: onnx.ModelProto, pipeline: str, **settings: Any) -> Outcome:
    """Runs a pipeline and checks that nothing failed."""
    settings.setdefault("evaluate", run_small)
    outcome = Manager(Settings(**settings)).run(lambda: from_proto(model), pipeline)
    assert not outcome.failures
    assert not outcome.stats.errors
    return outcome


def result(outcome: Outcome) -> onnx.ModelProto:
    """Returns the checked result."""
    proto = to_proto(outcome.model)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def op_types(graph: onnx.GraphProto) -> Counter[str]:
    """Counts operators, those in subgraphs included."""
    found: Counter[str] = Counter()
    for node in graph.node:
        found[node.op_type] += 1
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                found.update(op_types(attribute.g))
    return found


def initializers(model: onnx.ModelProto) -> dict[str, Array]:
    """Returns the main graph's initializers."""
    return {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}


def same(before: onnx.ModelProto, after: onnx.ModelProto, feeds: Mapping[str, Array]) -> None:
    """Asserts that two models give bit-identical results."""
    for want, got in zip(run_small(before, feeds), run_small(after, feeds), strict=True):
        assert want.dtype == got.dtype
        np.testing.assert_array_equal(got, want)
