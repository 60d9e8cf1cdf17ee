"""Sums of products as large as they get: kernels that add two of them in 16 bits would saturate.

Whatever processor this runs on, what the integer kernels give must be what the same model gives in float, read back value by
value, with optimisations off. And where weights use fewer bits for that, the user is told.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import onnxopt
from onnxopt.runtime import cpu

from ..cli.conftest import Run
from ..cli.conftest import run as run  # a fixture
from .support import Array, model, node, write

QUIET: dict[str, Any] = {"validate": False, "budget": 1.0}
SATURATING = "this processor has no dot products of 8-bit integers"


def large() -> onnx.ModelProto:
    """Products of weights that all are near the largest, of one sign in each channel."""
    rng = np.random.default_rng(3)
    signs = np.where(np.arange(16) % 2, -1.0, 1.0).astype(np.float32)
    nodes = [
        node("Conv", ["x", "w"], ["c"], "conv"),
        node("Relu", ["c"], ["r"], "relu"),
        node("GlobalAveragePool", ["r"], ["m"], "mean"),
        node("Flatten", ["m"], ["f"], "flat"),
        node("MatMul", ["f", "v"], ["y"], "product"),
    ]
    constants = {
        "w": rng.uniform(0.9, 1.0, (16, 8, 3, 3)).astype(np.float32) * signs[:, None, None, None],
        "v": rng.uniform(0.9, 1.0, (16, 16)).astype(np.float32) * signs,
    }
    return model(nodes, constants, {"x": ["N", 8, 9, 9]}, {"y": ["N", 16]})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with ``model.onnx`` and samples that all are near the largest."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, large())
    rng = np.random.default_rng(4)
    np.savez("x.npz", x=rng.uniform(0.9, 1.0, (16, 8, 9, 9)).astype(np.float32))
    return tmp_path


def outputs(path: str, x: Array, *, optimised: bool = True) -> Array:
    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = (
        levels.ORT_ENABLE_ALL if optimised else levels.ORT_DISABLE_ALL
    )
    session = onnxruntime.InferenceSession(path, options)
    found: Array = session.run(None, {"x": x})[0]
    return found


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("options", [{}, {"weights": "u8"}, {"activations": "s8"}], ids=str)
def test_integer_kernels_give_what_the_integers_stand_for(options: dict[str, Any]) -> None:
    x = np.load("x.npz")["x"]
    onnxopt.quantize(
        "model.onnx", "q.onnx", mode="static", target="ort-cpu", calibrate="x.npz",
        method="minmax", **options, **QUIET,
    )  # fmt: skip
    assert "QuantizeLinear" in {item.op_type for item in onnx.load("q.onnx").graph.node}
    fused, apart = outputs("q.onnx", x), outputs("q.onnx", x, optimised=False)
    wanted = outputs("model.onnx", x)
    span = float(np.abs(wanted).max())
    np.testing.assert_allclose(fused, apart, atol=0.01 * span)
    np.testing.assert_allclose(fused, wanted, atol=0.03 * span)


@pytest.mark.usefixtures("folder")
def test_dynamic_kernels_give_what_the_integers_stand_for() -> None:
    proto = model(
        [node("MatMul", ["x", "w"], ["y"], "product")],
        {"w": np.random.default_rng(5).uniform(0.9, 1.0, (64, 8)).astype(np.float32)},
        {"x": ["N", 64]},
        {"y": ["N", 8]},
    )
    onnx.save(proto, "product.onnx")
    x = np.random.default_rng(6).uniform(0.9, 1.0, (12, 64)).astype(np.float32)
    onnxopt.quantize("product.onnx", "q.onnx", mode="dynamic", target="ort-cpu", **QUIET)
    assert "MatMul" not in {item.op_type for item in onnx.load("q.onnx").graph.node}
    np.testing.assert_allclose(outputs("q.onnx", x), outputs("product.onnx", x), rtol=0.02)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("bits", "options", "told"),
    [
        (7, ["--mode", "static"], True),
        (7, ["--mode", "static", "--weights", "u8"], False),
        (8, ["--mode", "static"], False),
        (7, ["--mode", "dynamic"], True),
        (7, ["--mode", "weight-only"], False),
    ],
)
def test_fewer_bits_are_told(
    run: Run, monkeypatch: pytest.MonkeyPatch, bits: int, options: list[str], told: bool
) -> None:
    monkeypatch.setattr(cpu, "weight_bits", lambda _: bits)
    monkeypatch.setattr(cpu, "_flags", lambda: frozenset({"avx2"}))
    args = ["model.onnx", "-o", "q.onnx", "--calibrate", "x.npz", "--no-validate"]
    if "static" in options:
        args += ["--method", "minmax"]
    found = run("quantize", *args, *options)
    assert found.exit_code == 0, found.output
    assert (SATURATING in " ".join(found.stdout.split())) == told
