"""Static quantisation in branches of If."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from onnxopt.io import from_proto, to_proto
from onnxopt.pipeline.manager import Manager, Outcome, Settings
from onnxopt.quantization.statistics import Statistics
from onnxopt.quantization.wants import Wants
from onnxopt.runtime.calibration.observe import observe
from onnxopt.targets.load import load_target

from ..support import parse

rng = np.random.default_rng(3)

TEXT = """<ir_version: 8, opset_import: ["" : 17]>
g (float[1,4,8,8] x, bool c) => (float[1,4,8,8] y) {
  h = Conv<pads=[1,1,1,1]>(x, w0)
  y = If(c) <
    then_branch = t () => (float[1,4,8,8] p) { a = Conv<pads=[1,1,1,1]>(h, w1) m = Relu(a) p = Conv<pads=[1,1,1,1]>(m, w2) },
    else_branch = e () => (float[1,4,8,8] q) { n = Conv<pads=[1,1,1,1]>(h, w2) q = Neg(n) }> }"""


def model() -> onnx.ModelProto:
    weights = {f"w{i}": rng.normal(size=(4, 4, 3, 3)).astype(np.float32) / 6 for i in range(3)}
    return parse(TEXT, **weights)


def quantised(proto: onnx.ModelProto, folder: Path, taken: list[bool]) -> Outcome:
    x = rng.normal(size=(len(taken), 1, 4, 8, 8)).astype(np.float32)
    np.savez(folder / "s.npz", x=x, c=np.array(taken))

    def look(given: ir.Model, wants: Mapping[str, Wants]) -> Statistics:
        return observe(given, str(folder / "s.npz"), wants).statistics

    settings = Settings(target=load_target("ort-cpu"), observe=look)
    outcome = Manager(settings).run(lambda: from_proto(proto), "quantize")
    assert not outcome.failures, outcome.failures
    return outcome


def branches(outcome: Outcome) -> dict[str, list[str]]:
    node = next(n for n in outcome.model.graph if n.op_type == "If")
    return {
        name: [inner.op_type for inner in node.attributes[name].as_graph()]
        for name in ("then_branch", "else_branch")
    }


def test_a_branch_that_no_sample_takes_stays(tmp_path: Path) -> None:
    outcome = quantised(model(), tmp_path, [True, True])
    found = branches(outcome)
    assert found["else_branch"] == ["Conv", "Neg"]
    assert found["then_branch"].count("QuantizeLinear") == 3


@pytest.mark.parametrize("taken", [True, False])
def test_branches_compute_what_they_did(tmp_path: Path, taken: bool) -> None:
    proto = model()
    outcome = quantised(proto, tmp_path, [True, False, True, False])
    assert all("QuantizeLinear" in ops for ops in branches(outcome).values())
    changed = to_proto(outcome.model)
    onnx.checker.check_model(changed, full_check=True)
    feed = {"x": rng.normal(size=(1, 4, 8, 8)).astype(np.float32), "c": np.array(taken)}
    want, got = (
        onnxruntime.InferenceSession(p.SerializeToString()).run(None, feed)[0]
        for p in (proto, changed)
    )
    noise = float(np.square(got - want).sum() / np.square(want).sum())
    assert 0.0 < noise < 2e-3  # with 7 bits of weights where the processor takes no more


def test_values_of_one_name_in_both_branches(tmp_path: Path) -> None:
    proto = model()
    other = proto.graph.node[1].attribute[1].g
    for node in other.node:
        for names in (node.input, node.output):
            names[:] = ["a" if name == "n" else name for name in names]
    outcome = quantised(proto, tmp_path, [True, False])
    assert all("QuantizeLinear" in ops for ops in branches(outcome).values())
