"""The pipelines that quantise, by request."""

from __future__ import annotations

import pytest

from onnxopt.errors import UsageError
from onnxopt.pipeline.manager import Manager, Settings
from onnxopt.quantization.table import Quantization
from onnxopt.quantizing.pipelines import body, used_bits
from onnxopt.quantizing.request import Request, Samples
from onnxopt.targets.load import load_target

from .support import network

TIDY = "prune-initializers, deduplicate-initializers, remove-dead-nodes"
DATA = Samples("x.npz")


def text(mode: str, request: Request, bits: int = 8, more: tuple[str, ...] = ()) -> str:
    found = body(mode, request, Quantization(), bits, more)
    assert found.endswith(f", {TIDY}")
    return found.removesuffix(f", {TIDY}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "fast"}, "no mode 'fast'; there are: auto, static, dynamic, weight-only"),
        ({"mode": "static"}, "static quantisation needs calibration data"),
        ({"method": "best"}, "no method 'best'"),
        ({"mode": "weight-only", "method": "entropy"}, "no method 'entropy' to round weights"),
        ({"activations": "u7"}, "no type 'u7'"),
        ({"granularity": "block:0"}, "no granularity 'block:0'"),
        ({"granularity": "block:x"}, "no granularity 'block:x'"),
        ({"exclude": "conv1"}, "exclude takes a list"),
        (
            {"mode": "static", "smooth_quant": "0.5", "stats_in": ["s.json"]},
            "a file of statistics is of one model: leave out --stats-in",
        ),
        (
            {"mode": "static", "smooth_quant": "auto", "calibration": DATA, "stats_out": "s.json"},
            "a file of statistics is of one model: leave out --stats-out",
        ),
        ({"exclude": ["a;b"]}, "cannot name 'a;b' here"),
        ({"include": ['a"b']}, "cannot name 'a\"b' here"),
        (
            {"calibration": Samples("x.npz", images={"mean": (1.0,)})},
            "--mean is for images; give them as images:FOLDER",
        ),
    ],
)
def test_what_cannot_be_asked_for(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Request(**changes)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_defaults() -> None:
    assert text("static", Request(calibration=DATA)) == "prequantize, quantize"
    assert text("dynamic", Request()) == 'tame-outliers, quantize-dynamic{granularity="channel"}'
    assert text("weight-only", Request()).startswith("quantize-weights{")


def test_static_options() -> None:
    request = Request(
        calibration=DATA,
        activations="s8",
        weights="u8",
        granularity="tensor",
        method="mse",
        symmetric=True,
        equalize=True,
        bias_correct=True,
        smooth_quant="0.5",
        include=["Conv"],
        exclude=["conv1", "conv1"],
    )
    assert text("static", request, 7, ("conv2",)) == (
        'smooth-quant{alpha="0.5"}, prequantize, equalize, '
        'quantize{activations="s8",weights="u8",granularity="tensor",method="mse",symmetric=true,'
        'bias_correct=true,include="Conv",exclude="conv1;conv2"}'
    )


@pytest.mark.parametrize(
    ("mode", "weights", "bits"),
    [
        ("static", "", 7),
        ("static", "s8", 7),
        ("static", "u8", 8),
        ("dynamic", "", 7),
        ("dynamic", "u8", 7),
        ("weight-only", "", 8),
        ("weight-only", "s8", 8),
    ],
)
def test_bits_of_weights_where_signed_ones_would_saturate(
    mode: str, weights: str, bits: int
) -> None:
    request = Request(mode=mode, calibration=DATA, weights=weights)
    assert used_bits(mode, request, Quantization(), 7) == bits
    assert used_bits(mode, request, Quantization(), 8) == 8
    assert ("bits=7" in text(mode, request, 7)) == (bits == 7)


def test_names_that_a_pipeline_cannot_hold_become_patterns() -> None:
    found = text("static", Request(calibration=DATA), more=('a"b[0];*', "plain[0]"))
    assert found == 'prequantize, quantize{exclude="a?b?0???;plain[0]"}'


@pytest.mark.parametrize("name", ['conv"1', "conv;1", "conv[1]", "conv{1}, é", "a=b"])
def test_layers_of_any_name_can_stay_in_float(name: str) -> None:
    proto = network()
    for item in proto.graph.node:
        item.name = name if item.name == "conv1" else item.name
    from onnxopt.io import from_proto

    from ..passes.quantize.support import Observer
    from .support import images

    settings = Settings(target=load_target("ort-cpu"), observe=Observer([{"x": images(1)}]))
    pipeline = body("static", Request(calibration=DATA), Quantization(), 8, (name,))
    outcome = Manager(settings).run(lambda: from_proto(proto), pipeline)
    assert not outcome.failures
    [reason] = [r for r in outcome.stats.declined["quantize"] if r.startswith("Conv")]
    assert reason.startswith("Conv: left out by ")
    assert sum(outcome.stats.declined["quantize"].values()) == 1
