"""What can be asked of a quantisation, and what is refused in one line."""

from __future__ import annotations

from typing import Any

import pytest

from onnxopt.errors import UsageError
from onnxopt.quantization.table import Quantization
from onnxopt.quantizing.pipelines import body
from onnxopt.quantizing.request import Request, Samples, Stored

SAMPLES = Samples("x.npz")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mode": "fast"}, "no mode 'fast'"),
        ({"activations": "fp8", "mode": "static"}, "give --activations fp8 and --weights fp8"),
        ({"weights": "fp8", "mode": "static"}, "or store weights alone, with --mode weight-only"),
        (
            {"weights": "fp8", "mode": "dynamic"},
            "no operator takes 8-bit floats with scales of run time",
        ),
        ({"weights": "fp8", "symmetric": False}, "8-bit floats have no zero points"),
        ({"weights": "fp8", "mode": "weight-only", "method": "hqq"}, "hqq moves zero points"),
        (
            {"activations": "fp8", "weights": "fp8", "mode": "static", "method": "mse"},
            "mse reckons with steps of equal size",
        ),
        ({"wide": ["Conv"], "mode": "dynamic"}, "--wide gives activations 16 bits"),
        ({"weights": "s32"}, "s32: 32 bits are for biases"),
        ({"weights": "s4", "mode": "static"}, "no kernel multiplies s4 weights"),
        ({"weights": "u4", "mode": "dynamic"}, "with --mode weight-only"),
        ({"granularity": "block:32", "mode": "static"}, "whose scales are by block"),
        ({"granularity": "block"}, "no granularity 'block'"),
        ({"activations": "s8", "mode": "dynamic"}, "stores activations as u8, not s8"),
        ({"activations": "u8", "mode": "weight-only"}, "activations stay in float"),
        ({"weights": "u16", "mode": "weight-only"}, "stored as s4, u4, s8, u8 or fp8, not u16"),
        ({"method": "entropy", "mode": "weight-only"}, "no method 'entropy' to round weights"),
        ({"method": "gptq", "mode": "static"}, "no method 'gptq' to choose ranges"),
        ({"method": "nope"}, "no method 'nope'"),
    ],
)
def test_what_means_nothing(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Request(calibration=SAMPLES, **given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", ["gptq", "hmse"])
def test_rounding_by_data_needs_some(method: str) -> None:
    with pytest.raises(
        UsageError, match="give samples with --calibrate; --method hqq goes without"
    ):
        Request(mode="weight-only", method=method)


def test_a_budget_needs_samples_to_judge_on() -> None:
    with pytest.raises(UsageError, match="--max-drop snr=30: there are no samples to judge on"):
        Request(mode="dynamic", max_drop="snr=30")
    Request(mode="dynamic", max_drop="snr=30", evaluation=SAMPLES)


def test_auto_waits_until_the_mode_is_known() -> None:
    asked = Request(weights="s4", granularity="block:32")
    asked.check("weight-only")
    with pytest.raises(UsageError, match="no kernel multiplies s4"):
        asked.check("static")


@pytest.mark.parametrize(
    ("given", "stored", "opset"),
    [
        ({}, Stored("s8", "32", "rtn", True), 21),
        ({"weights": "s4"}, Stored("s4", "32", "rtn", False), 21),
        ({"weights": "s4", "calibration": SAMPLES}, Stored("s4", "32", "gptq", False), 21),
        ({"calibration": SAMPLES}, Stored("s8", "32", "rtn", True), 21),
        ({"granularity": "channel"}, Stored("s8", "channel", "rtn", True), 13),
        ({"granularity": "tensor"}, Stored("s8", "tensor", "rtn", True), 10),
        ({"weights": "fp8"}, Stored("fp8", "32", "rtn", True), 21),
        ({"weights": "fp8", "granularity": "channel"}, Stored("fp8", "channel", "rtn", True), 19),
        ({"granularity": "channel", "weights": "u4"}, Stored("u4", "channel", "rtn", False), 21),
        ({"granularity": "block:64", "symmetric": False}, Stored("s8", "64", "rtn", False), 21),
        (
            {"weights": "s4", "symmetric": True, "method": "hqq"},
            Stored("s4", "32", "hqq", True),
            21,
        ),
    ],
)
def test_how_weights_alone_are_stored(given: dict[str, Any], stored: Stored, opset: int) -> None:
    request = Request(mode="weight-only", **given)
    assert request.stored == stored
    assert stored.opset == opset


def test_the_pass_gets_what_was_asked_for() -> None:
    request = Request(mode="weight-only", weights="s4", granularity="channel", exclude=("a",))
    text = body("weight-only", request, Quantization(), 8)
    assert text.startswith(
        'quantize-weights{type="s4",block="channel",method="rtn",symmetric=false,exclude="a"}'
    )


def test_static_keeps_zero_points_unless_told() -> None:
    request = Request(mode="static", calibration=SAMPLES)
    assert "symmetric" not in body("static", request, Quantization(), 8)
    assert "symmetric=true" in body("static", request.but(symmetric=True), Quantization(), 8)
