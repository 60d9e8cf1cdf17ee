"""The operator conformance suite through the passes that quantise: none of them breaks a model that it has never heard of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from onnxopt.errors import UsageError
from onnxopt.io import from_proto, to_proto
from onnxopt.pipeline.manager import Manager, Outcome, Settings
from onnxopt.quantization.statistics import Statistics
from onnxopt.quantization.wants import Wants
from onnxopt.targets.load import load_target

from .forms import in_form, model_of, node_cases, samples_of

REFUSED = ("is quantised already", "does not have", "differentiates itself")
"""What the passes say of models that they are not for."""
PASSES = ("quantize", "quantize-dynamic", "quantize-weights{type=s8,block=channel}")


def made_up(_: ir.Model, wants: Mapping[str, Wants]) -> Statistics:
    """Statistics as though every value had been between -1 and 2."""
    statistics = Statistics("made up", wants)
    for name in wants:
        statistics.update(name, np.linspace(-1, 2, 30, dtype=np.float32).reshape(1, 30))
    return statistics


def weighted() -> list[str]:
    """The cases of operators that a target quantises, and a sample of the others."""
    table = load_target("ort-cpu").quantize
    assert table is not None
    kinds = {*table.weighted, *table.joined, *table.carried, *table.absorbed, "LSTM", "Gather"}
    cases = sorted(node_cases().items())
    chosen = [
        name for name, case in cases if {n.op_type for n in model_of(case).graph.node} & kinds
    ]
    return sorted({*chosen, *(name for name, _ in cases[::9])})


@pytest.mark.parametrize("step", PASSES)
@pytest.mark.parametrize("name", weighted())
def test_operator_through_quantisation(name: str, step: str) -> None:
    case = node_cases()[name]
    before, _ = in_form(model_of(case), samples_of(case)[0][0], "first-only")
    settings = Settings(target=load_target("ort-cpu"), observe=made_up)
    outcome = _outcome(settings, before, step)
    if outcome is None:
        return
    assert not outcome.failures, outcome.failures
    after = to_proto(outcome.model)
    onnx.checker.check_model(after)
    assert list(after.graph.output) == list(before.graph.output)


def _outcome(settings: Settings, before: onnx.ModelProto, step: str) -> Outcome | None:
    """What a pass made of a model; None where it says that it is not for such."""
    try:
        return Manager(settings).run(lambda: from_proto(before), step)
    except UsageError as error:
        if any(text in str(error) for text in REFUSED):
            return None
        raise
