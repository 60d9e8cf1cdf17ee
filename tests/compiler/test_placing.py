"""Where weights go: as the user says, or else as the target loads them faster."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import pytest

import onnxopt
from onnxopt.compiler.aim import placed
from onnxopt.compiler.options import Options

ABOVE = """
summary = "mine"
separate_weights_above = 4000
"""


@pytest.mark.parametrize(
    ("options", "size", "expected"),
    [
        (Options(target="ort-cpu"), 32_000_001, "always"),
        (Options(target="ort-cpu"), 32_000_000, "auto"),
        (Options(target="ort-cpu", level=1), 32_000_001, "auto"),
        (Options(target="ort-cpu", external_data="never"), 32_000_001, "never"),
        (Options(), 32_000_001, "auto"),
    ],
)
def test_the_user_is_obeyed_and_the_target_asked(
    options: Options, size: int, expected: str
) -> None:
    assert placed(options, size).external_data == expected


def test_weights_lie_beside_the_model(tmp_path: Path) -> None:
    weight = onnx.numpy_helper.from_array(np.ones((64, 64), np.float32), "w")
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [info("x", 1, [3, 64])],
        [info("y", 1, [3, 64])],
        [weight],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    target = tmp_path / "mine.toml"
    target.write_text(ABOVE)
    onnxopt.optimize(model, tmp_path / "out.onnx", target=str(target))
    assert (tmp_path / "out.onnx.data").stat().st_size >= 64 * 64 * 4
    onnxopt.optimize(model, tmp_path / "one.onnx", target=str(target), external_data="never")
    assert not (tmp_path / "one.onnx.data").exists()
