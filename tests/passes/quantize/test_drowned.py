"""Huge constants, such as those of masks, in sums and biases: what they would round away stays in float."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from ..support import parse
from .support import checked, quantise, run, snr

rng = np.random.default_rng(13)
MASKED = "a constant beside it is so large"


def numbers(*shape: int) -> np.ndarray:
    return (rng.normal(size=shape) / 3).astype(np.float32)


def feeds(*shape: int) -> list[dict[str, np.ndarray]]:
    return [{"x": rng.normal(size=shape).astype(np.float32)} for _ in range(4)]


def masked(between: str, huge: float) -> onnx.ModelProto:
    """Two convolutions, and between them what is added to a mask."""
    text = f"""<ir_version: 8, opset_import: ["" : 17]>
        g (float[1,3,8,8] x) => (float[1,c,h,v] y) {{
            a = Conv<pads=[1,1,1,1]>(x, w) b = Add(a, mask) {between} y = Conv(c, w2) }}"""
    mask = np.triu(np.full((8, 8), huge, np.float32), 1)[None, None]
    second = numbers(4, 8 if "Concat" in between else 4, 3, 3)
    return parse(text, w=numbers(4, 3, 3, 3), mask=mask, w2=second)


@pytest.mark.parametrize("granularity", ["tensor", "channel"])
@pytest.mark.parametrize("huge", [-1e4, -1e9, float(np.finfo(np.float32).min)])
@pytest.mark.parametrize("between", ["c = Sigmoid(b)", "d = Concat<axis=1>(a, b) c = Sigmoid(d)"])
def test_what_is_added_to_a_mask_stays_in_float(
    between: str, huge: float, granularity: str
) -> None:
    model, samples = masked(between, huge), feeds(1, 3, 8, 8)
    outcome = quantise(model, samples, f"bits=7,granularity={granularity}")
    declined = outcome.stats.declined["quantize"]
    assert any(reason.startswith(f"Add: {MASKED}") for reason in declined)
    assert any(reason.startswith(f"Sigmoid: {MASKED}") for reason in declined)
    after = checked(outcome)
    for sample in samples:
        assert snr(run(model, sample)[0], run(after, sample)[0]) > 24


def test_a_constant_of_the_size_of_the_rest_is_added_in_integers() -> None:
    outcome = quantise(masked("c = Sigmoid(b)", -4.0), feeds(1, 3, 8, 8), "bits=7")
    assert not outcome.stats.declined["quantize"]
    adds = [n for n in checked(outcome).graph.node if n.op_type == "Add"]
    assert [n.metadata_props[0].key for n in adds] == ["onnxopt.integer"]


@pytest.mark.parametrize("body", ["y = Gemm(x, w, b)", "p = MatMul(x, w) y = Add(p, b)"])
def test_a_bias_that_masks_channels(body: str) -> None:
    """With one scale for all channels, their weights would become zero; with one each, only those of the masked ones."""
    text = f'<ir_version: 8, opset_import: ["" : 17]>\ng (float[4,16] x) => (float[4,8] y) {{ {body} }}'
    bias = np.where(np.arange(8) < 6, numbers(8), np.float32(-1e9)).astype(np.float32)
    model, samples = parse(text, w=numbers(16, 8), b=bias), feeds(4, 16)
    for granularity, kept in (("tensor", True), ("channel", False)):
        outcome = quantise(model, samples, f"bits=7,granularity={granularity}")
        reasons = outcome.stats.declined["quantize"]
        assert any("its bias is so large" in reason for reason in reasons) == kept
        after = checked(outcome)
        for sample in samples:
            wanted, found = run(model, sample)[0][:, :6], run(after, sample)[0][:, :6]
            assert snr(wanted, found) > 25


def _gemm(huge: float) -> onnx.ModelProto:
    text = """<ir_version: 10, opset_import: ["" : 21]>
        g (float[4,16] x) => (float[4,8] y) { y = Gemm(x, w, b) }"""
    return parse(text, w=numbers(16, 8), b=np.where(np.arange(8), numbers(8), np.float32(huge)))


@pytest.mark.parametrize(
    ("options", "huge", "kept"),
    [
        ("bits=7,activations=u16", -2e3, False),
        ("bits=7", -2e5, False),
        ("bits=7,activations=u16", -2e5, True),
        ("bits=7,wide=Gemm", -2e5, True),
        ("activations=fp8,weights=fp8", -1e9, False),
    ],
)
def test_how_large_a_bias_may_be_depends_on_how_it_is_stored(
    options: str, huge: float, kept: bool
) -> None:
    """Steps of 16 bits are finer, so that a smaller one does not fit; beside 8-bit floats it stays in float."""
    model, samples = _gemm(huge), feeds(4, 16)
    outcome = quantise(model, samples, f"granularity=tensor,{options}")
    reasons = outcome.stats.declined["quantize"]
    assert any("its bias is so large" in reason for reason in reasons) == kept
    after = checked(outcome)
    assert ("QuantizeLinear" in {node.op_type for node in after.graph.node}) != kept
    for sample in samples:
        assert snr(run(model, sample)[0][:, 1:], run(after, sample)[0][:, 1:]) > 22


@pytest.mark.parametrize("options", ["activations=u16", "activations=s16", 'wide="Add;Conv"'])
def test_masks_that_16_bits_hold(options: str) -> None:
    model = masked("c = Sigmoid(b)", -1e4)
    model.opset_import[0].version, model.ir_version = 21, 10
    samples = feeds(1, 3, 8, 8)
    for asked, kept in (("bits=7", True), (f"bits=7,{options}", False)):
        outcome = quantise(model, samples, asked)
        reasons = outcome.stats.declined["quantize"]
        assert any(reason.startswith(f"Add: {MASKED}") for reason in reasons) == kept
        after = checked(outcome)
        for sample in samples:
            assert snr(run(model, sample)[0], run(after, sample)[0]) > 24
