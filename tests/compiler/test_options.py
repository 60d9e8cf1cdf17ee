"""What the API refuses before any work, and what it passes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.helper
import onnx.parser
import pytest

import onnxopt

TEXT = '<ir_version: 8, opset_import: ["" : 17]> g (float[N] x) => (float[N] y) { y = Add(x, w) }'


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model with one weight in sparse form, which onnx-ir alone cannot read."""
    proto = onnx.parser.parse_model(TEXT)
    values = onnx.numpy_helper.from_array(np.array([-2.5], np.float32), "w")
    indices = onnx.numpy_helper.from_array(np.array([0], np.int64), "w_indices")
    sparse = onnx.helper.make_sparse_tensor(values, indices, [1])
    proto.graph.sparse_initializer.append(sparse)
    path = tmp_path / "model.onnx"
    onnx.save(proto, path)
    return path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"disable": "fold"}, r"disable takes a list; write \['fold'\]"),
        ({"print_after": "all"}, "print_after takes a list"),
        ({"providers": "cpu"}, "providers takes a list"),
        ({"inputs": Path("samples.npz")}, r"write \['samples.npz'\]"),
        ({"rtol": -1.0}, "rtol is -1.0; it must be 0 or above and finite"),
        ({"atol": float("nan")}, "atol is nan"),
        ({"timeout": 0}, "timeout is 0; it must be above 0"),
        ({"level": 4}, "levels are 0, 1, 2 and 3"),
        ({"dims": {"N": -1}}, "dim N=-1 is negative"),
        ({"bisect_limit": -1}, "bisect limit -1 is negative"),
        ({"validate": False, "require_validation": True}, "both required and left out"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(onnxopt.UsageError, match=message):
        onnxopt.optimize("no-such-file.onnx", **options)


@pytest.mark.parametrize(
    "options", [{"providers": "cpu"}, {"inputs": "samples.npz"}, {"rtol": -1.0}, {"timeout": 0}]
)
def test_comparisons_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(onnxopt.UsageError):
        onnxopt.compare("no-such-file.onnx", "nor-this-one.onnx", **options)


def test_models_are_compared_as_onnxopt_reads_them(model: Path) -> None:
    found = onnxopt.compare(model, model)
    assert found.status == "passed", found.reason
