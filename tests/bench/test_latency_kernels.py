"""Each kernel's time counts once, in the kind its operator is of, in the run it belongs to."""

from __future__ import annotations

from typing import Any

import pytest
from bench_lib.latency.kernels import KINDS, kind_of
from bench_lib.latency.profile import kinds_by_run, summarise

KIND_OF = {
    "matrix": "MatMul Gemm Conv ConvTranspose FusedMatMul FusedGemm FusedConv Attention MultiHeadAttention"
    " GroupQueryAttention QLinearConv QLinearMatMul MatMulInteger MatMulNBits DynamicQuantizeMatMul"
    " QAttention ConvInteger NhwcFusedConv TransposeMatMul GemmFastGelu Einsum LSTM GRU QMoE",
    "norm": "LayerNormalization SkipLayerNormalization SimplifiedLayerNormalization BatchNormalization"
    " EmbedLayerNormalization GroupNorm RMSNormalization LRN QEmbedLayerNormalization",
    "softmax": "Softmax LogSoftmax BiasSoftmax QLinearSoftmax",
    "activation": "Relu Gelu FastGelu BiasGelu QuickGelu Sigmoid Tanh Erf Clip LeakyRelu HardSwish Elu"
    " QLinearSigmoid PRelu",
    "elementwise": "Add Mul Where Cast Pow QLinearAdd QuantizeLinear RotaryEmbedding Exp Sqrt Atanh",
    "movement": "Transpose Reshape Slice Gather Concat Split Expand Unsqueeze Shape QLinearConcat"
    " ReorderInput MemcpyToHost GatherND Pad",
    "other": "MaxPool GlobalAveragePool ReduceMean If Loop TopK Resize RandomNormal RandomNormalLike Novel",
}


@pytest.mark.parametrize(("kind", "names"), KIND_OF.items())
def test_kinds(kind: str, names: str) -> None:
    assert {name: kind_of(name) for name in names.split()} == dict.fromkeys(names.split(), kind)


def session(ts: int, dur: int) -> dict[str, Any]:
    return {"cat": "Session", "name": "model_run", "ts": ts, "dur": dur, "args": {}}


def node(op: str, ts: int, dur: int, provider: str = "CPU") -> dict[str, Any]:
    args = {"op_name": op, "provider": f"{provider}ExecutionProvider"}
    return {"cat": "Node", "name": f"{op}_kernel_time", "ts": ts, "dur": dur, "args": args}


def kernel(op: str, ts: int, dur: int) -> dict[str, Any]:
    return {"cat": "Kernel", "name": "sgemm", "ts": ts, "dur": dur, "args": {"op_name": op}}


def test_kernels_are_summed_by_kind_and_run() -> None:
    # An event is written when it ends, so that a run's own event follows those of its nodes.
    events = [
        {"cat": "Session", "name": "session_initialization", "ts": 0, "dur": 90, "args": {}},
        node("MatMul", 101, 2000),
        node("Add", 2101, 500),
        node("Sub", 2601, 250),
        session(100, 3000),
        node("MatMul", 5001, 4000),
        session(5000, 5000),
    ]
    first, second = kinds_by_run(events)
    assert first == dict.fromkeys(KINDS, 0.0) | {"matrix": 2.0, "elementwise": 0.75}
    assert second == dict.fromkeys(KINDS, 0.0) | {"matrix": 4.0}


def test_what_runs_within_a_node_is_taken_off_it() -> None:
    events = [
        session(0, 4000),
        node("If", 0, 1000),
        node("MatMul", 100, 300),
        node("Loop", 400, 500),
        node("Add", 400, 200),
        node("Add", 600, 300),
        node("Softmax", 1000, 50),
    ]
    (found,) = kinds_by_run(events)
    assert found["other"] == pytest.approx(0.2)  # the If's own 0.2 ms, the Loop's own 0
    assert (found["matrix"], found["elementwise"]) == pytest.approx((0.3, 0.5))
    assert found["softmax"] == pytest.approx(0.05)
    assert sum(found.values()) == pytest.approx(1.05)


def test_on_a_device_its_own_clock_counts() -> None:
    events = [
        session(0, 9000),
        node("MatMul", 10, 40, "CUDA"),
        kernel("MatMul", 11, 700),
        kernel("MatMul", 12, 100),
        node("Shape", 60, 5),
        node("Add", 70, 30, "CUDA"),
        kernel("Add", 71, 200),
    ]
    (found,) = kinds_by_run(events)
    parts = (found["matrix"], found["elementwise"], found["movement"])
    assert parts == pytest.approx((0.8, 0.2, 0.005))


def test_launch_times_are_not_taken_for_kernel_times() -> None:
    with pytest.raises(ValueError, match="no kernel times of CUDAExecutionProvider"):
        kinds_by_run([session(0, 9000), node("MatMul", 10, 40, "CUDA")])


def test_summary_takes_medians_over_runs() -> None:
    blank = dict.fromkeys(KINDS, 0.0)
    runs = [
        blank | {"matrix": 5.0, "norm": 1.0, "other": 4.0},
        blank | {"matrix": 6.0, "norm": 3.0, "other": 0.0},
        blank | {"matrix": 90.0, "norm": 2.0, "other": 2.0},
    ]
    found = summarise(runs)
    assert (found["matrix"], found["norm"], found["other"]) == (6.0, 2.0, 2.0)
    assert found["outside"] == 4.0  # of 5, 3 and 4
