"""The trained models beside the project, where they are present: every value against a run."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
import onnx_ir as ir
import pytest

from onnxopt.analysis.facts import Facts
from onnxopt.analysis.summary import summarize

from .harness import check_runs, symbols

PLACES = [Path(__file__).parents[3] / "shared" / "models", Path(__file__).parents[2] / "models"]
FILES = [path for place in PLACES if place.is_dir() for path in sorted(place.glob("*.onnx"))]
HEAVY = "style_candy"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_value_of_a_trained_model(path: Path) -> None:
    proto = onnx.load(os.fspath(path))
    del proto.graph.value_info[:]
    model = ir.from_proto(proto)
    facts = Facts(model)
    missing = [
        value
        for node in model.graph
        for value in node.outputs
        if value.name and facts.rank(value) is None
    ]
    branches = any(node.op_type == "If" for node in model.graph)
    assert branches or not missing
    if path.stem == HEAVY or any(facts.rank(value) is None for value in model.graph.outputs):
        return
    names = symbols(facts, model)
    overridable = [value for value in model.graph.inputs if value.is_initializer()]
    for value in overridable:
        model.graph.inputs.remove(value)
    runs = [dict.fromkeys(names, size) for size in (1, 2)] if names else [{}]
    check = check_runs(model, runs)
    assert not check.faults, "\n".join(check.faults)
    assert check.unknown == 0


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_summary_of_a_trained_model(path: Path) -> None:
    model = ir.load(os.fspath(path))
    summary = summarize(model)
    assert summary.nodes == sum(summary.ops.values())
    assert 0.5 < summary.weight_bytes / path.stat().st_size <= 1
    assert summary.cost.macs > 0 or summary.cost.uncounted
