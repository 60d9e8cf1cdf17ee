"""What the runtime makes of quantised nodes, and the reason where it computes in float."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import parser

from onnxopt.errors import ModelError
from onnxopt.io import load
from onnxopt.runtime.fusion.proving import prove
from onnxopt.runtime.fusion.report import Finding, FusionReport
from onnxopt.runtime.fusion.wanted import INTEGER, wanted_of

Writer = Callable[..., Path]
HEAD = '<ir_version: 10, opset_import: ["": 21]> g (float[1,4,6,6] x) => (%s y)'
CONSTANTS = """<float s = {0.05}, float t = {0.01}, uint8 z = {128}, uint8 low = {0}, int8 z8 = {0},
 uint16 z16 = {32768}, float zero = {0}, float six = {6}, int64[2] shape = {2, 72} , float[8] b = {1, 2, 3, 4, 5, 6, 7, 8}>"""
ACTIVATION = "xq = QuantizeLinear(x, s, z)  xd = DequantizeLinear(xq, s, z)"
READ = f"{ACTIVATION}  wd = DequantizeLinear(w, t)"
STORE = "q = QuantizeLinear(%s, s, z)  y = DequantizeLinear(q, s, z)"


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Writes a model whose weight ``w`` is int8 [4,4,3,3], or another."""

    def call(
        body: str, node: str, mode: str = "static", weight: np.ndarray | None = None, out: str = ""
    ) -> Path:
        head = HEAD % (out or "float[1,4,4,4]")
        proto = parser.parse_model(f"{head}\n{CONSTANTS}\n{{ {body} }}")
        drawn = np.random.default_rng(1).integers(-100, 100, (4, 4, 3, 3)).astype(np.int8)
        weight = drawn if weight is None else weight
        proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
        for number, item in enumerate(proto.graph.node):
            item.name = f"n{number}"
            if item.op_type == node:
                item.name = "wanted"
                item.metadata_props.add(key=INTEGER, value=mode)
        onnx.save(proto, tmp_path / "model.onnx")
        return tmp_path / "model.onnx"

    return call


def only(report: FusionReport) -> Finding:
    assert not report.failure
    assert len(report.findings) == 1
    return report.findings[0]


FLOAT = [
    (
        f"{READ} c = ConvTranspose(xd, wd) {STORE % 'c'}",
        "ConvTranspose",
        "the runtime has no integer kernel for ConvTranspose",
    ),
    (f"{READ} y = Conv(xd, wd)", "Conv", "its result is not quantised"),
    (f"{READ} c = Conv(x, wd) {STORE % 'c'}", "Conv", "operand 'x' is not quantised"),
    (
        f"{READ} c = Conv(xd, wd) r = Relu(c) {STORE % 'r'}",
        "Conv",
        "Relu stands between because the zero point is not the lowest value",
    ),
    (
        f"{READ} c = Conv(xd, wd) r = Relu(c) q = QuantizeLinear(r, s, z8) y = DequantizeLinear(q, s, z8)",
        "Conv",
        "Relu stands between because the zero point is not the lowest value (symmetric s8)",
    ),
    (
        f"{READ} c = Conv(xd, wd) r = Clip(c, zero, six) q = QuantizeLinear(r, s, low)"
        " y = DequantizeLinear(q, s, low)",
        "Conv",
        "Clip stands between because values beyond its limits can be stored",
    ),
    (
        f"{READ} c = Conv(xd, wd) r = Tanh(c) {STORE % 'r'}",
        "Conv",
        "Tanh stands between it and where its result is quantised",
    ),
    (
        f"{READ} c = Conv(xd, wd) n = Neg(c) q = QuantizeLinear(c, s, z)"
        " d = DequantizeLinear(q, s, z) y = Add(d, n)",
        "Conv",
        "its result is read in float, too, by Neg",
    ),
    (
        "xq = QuantizeLinear(x, s, z16) xd = DequantizeLinear(xq, s, z16) wd = DequantizeLinear(w, t)"
        " c = Conv(xd, wd) q = QuantizeLinear(c, s, z16) y = DequantizeLinear(q, s, z16)",
        "Conv",
        "the runtime has no kernel for Conv of uint16",
    ),
]


@pytest.mark.parametrize(("body", "node", "reason"), FLOAT)
def test_what_stays_in_float_has_a_reason(write: Writer, body: str, node: str, reason: str) -> None:
    out = "float[1,4,8,8]" if node == "ConvTranspose" else ""
    report = prove(write(body, node, out=out))
    found = only(report)
    assert (found.status, found.reason) == ("float", reason)
    assert report.unfused == [found]
    assert not report.proven
    assert not report.unexplained


def test_a_product_with_a_sum_after_it_becomes_a_float_gemm(write: Writer) -> None:
    weight = np.ones((6, 6), np.int8)
    body = f"{READ} m = MatMul(xd, wd) k = Constant<value = float[6] {{1, 2, 3, 4, 5, 6}}>() y = Add(m, k)"
    found = only(prove(write(body, "MatMul", weight=weight, out="float[1,4,6,6]")))
    assert found.kernel == "Gemm"
    assert found.reason.startswith("MatMul + Add became a float Gemm")


def test_a_model_that_does_not_load_is_told(write: Writer) -> None:
    path = write(f"{READ} c = Conv(xd, wd) {STORE % 'c'}", "Conv")
    text = path.read_bytes().replace(b"Conv", b"Conf")
    path.write_bytes(text)
    report = prove(path)
    assert "Conf" in report.failure
    assert not report.proven


def test_another_provider_has_other_kernels() -> None:
    from onnxopt.runtime.fusion.kernels import refusal

    assert refusal("Conv", "CPUExecutionProvider") == ""
    assert refusal("Conv", "CUDAExecutionProvider") == (
        "CUDAExecutionProvider has no integer kernel for Conv"
    )


@pytest.mark.parametrize("names", [("", "b"), ("a", "a")])
def test_nodes_that_cannot_be_told_apart_are_an_error(
    write: Writer, names: tuple[str, str]
) -> None:
    path = write("h = Neg(x) y = Neg(h)", "Neg", out="float[1,4,6,6]")
    proto = onnx.load(path)
    for item, name in zip(proto.graph.node, names, strict=True):
        item.name = name
    onnx.save(proto, path)
    with pytest.raises(ModelError, match="name"):
        wanted_of(load(path))


FUSED = [
    (f"{READ} c = Conv(xd, wd) {STORE % 'c'}", "Conv", "QLinearConv", "float[1,4,4,4]"),
    (f"{ACTIVATION} c = Add(xd, xd) {STORE % 'c'}", "Add", "QLinearAdd", "float[1,4,6,6]"),
    (
        f"{ACTIVATION} c = LeakyRelu(xd) {STORE % 'c'}",
        "LeakyRelu",
        "QLinearLeakyRelu",
        "float[1,4,6,6]",
    ),
    (
        f"{ACTIVATION} c = MaxPool<kernel_shape=[3,3]>(xd) {STORE % 'c'}",
        "MaxPool",
        "MaxPool",
        "float[1,4,4,4]",
    ),
    (
        f"{ACTIVATION} c = Transpose<perm=[0,2,1,3]>(xd) {STORE % 'c'}",
        "Transpose",
        "Transpose",
        "float[1,6,4,6]",
    ),
]


@pytest.mark.parametrize(("body", "node", "kernel", "out"), FUSED)
def test_what_is_fused_has_a_kernel(
    write: Writer, body: str, node: str, kernel: str, out: str
) -> None:
    report = prove(write(body, node, out=out))
    found = only(report)
    assert (found.status, found.kernel, found.reason) == ("integer", kernel, "")
    assert report.proven
    assert report.floats == {}
    assert report.conversions == {"QuantizeLinear": 1, "DequantizeLinear": 1}


def test_what_moves_is_judged_by_what_it_moves(write: Writer) -> None:
    """The runtime quantises before a Transpose what is quantised after it, but not where that is read in float, too."""
    moved = only(
        prove(write(f"t2 = Transpose(x) {STORE % 't2'}", "Transpose", out="float[6,6,4,1]"))
    )
    assert moved.status == "integer"
    body = "t2 = Transpose(x) n = Neg(t2) q = QuantizeLinear(t2, s, z) d = DequantizeLinear(q, s, z) y = Add(d, n)"
    found = only(prove(write(body, "Transpose", out="float[6,6,4,1]")))
    assert (found.status, found.reason) == ("float", "operand 'x' is not quantised")


def test_a_product_quantised_dynamically(write: Writer) -> None:
    weight = np.arange(36, dtype=np.int8).reshape(6, 6)
    body = (
        "xq, xs, xz = DynamicQuantizeLinear(x) m = MatMulInteger(xq, w, xz, z8) f = Cast<to=1>(m)"
        " k = Mul(xs, t) y = Mul(f, k)"
    )
    report = prove(write(body, "MatMulInteger", "dynamic", weight, "float[1,4,6,6]"))
    found = only(report)
    assert (found.mode, found.status, found.kernel) == (
        "dynamic",
        "integer",
        "DynamicQuantizeMatMul",
    )
    assert report.conversions == {}


@pytest.mark.parametrize("added", [False, True])
def test_a_product_with_stored_weights(write: Writer, added: bool) -> None:
    """Stored by channel, few channels are not taken once the sum is part of the product (seen with 1.32)."""
    rng = np.random.default_rng(1)
    sum_ = "m = MatMul(a, wd) y = Add(m, b)" if added else "y = MatMul(a, wd)"
    body = f"a = Reshape(x, shape) wd = DequantizeLinear<axis=1>(w, b) {sum_}"
    weight = rng.integers(-9, 9, (72, 8)).astype(np.int8)
    found = only(prove(write(body, "MatMul", "weight-only", weight, "float[2,8]")))
    if added:
        assert (found.status, found.kernel) == ("float", "Gemm")
        assert found.reason.startswith(
            "MatMul + Add became a float Gemm: store its weights by block"
        )
    else:
        assert (found.status, found.kernel) == ("integer", "MatMulNBits")


def test_weights_alone_do_nothing_for_a_convolution(write: Writer) -> None:
    found = only(prove(write("wd = DequantizeLinear(w, t) y = Conv(x, wd)", "Conv", "weight-only")))
    assert found.reason == "the runtime has no kernel for Conv with stored weights alone"


def test_the_report_is_ready_for_json(write: Writer) -> None:
    import json

    report = prove(write(f"{READ} c = Conv(xd, wd) {STORE % 'c'}", "Conv"))
    data = json.loads(json.dumps(report.to_json()))
    assert data["findings"][0]["kernel"] == "QLinearConv"
    assert data["proven"] is True
    assert data["integers"] >= 1
