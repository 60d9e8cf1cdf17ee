"""The target of a run."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx.parser

import onnxopt
from onnxopt.compiler.aim import aim


def test_a_file_that_changes_is_read_anew(tmp_path: Path) -> None:
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[4] x) => (float[4] y) { y = Tanh(x) }'
    source = tmp_path / "in.onnx"
    onnx.save(onnx.parser.parse_model(text), source)
    target = tmp_path / "own.toml"
    counts = []
    for kept in ("Tanh", "Softmax"):
        target.write_text(f'summary = "mine"\n[keep]\nfloat16 = ["{kept}"]\n')
        result = onnxopt.convert(source, target=str(target), validate=False)
        counts.append(result.after.ops.get("Cast", 0))
    assert counts == [0, 2]
    assert all(kept in aim(str(target)).target.keep["float16"] for kept in ("Softmax", "Exp"))


def test_a_target_that_ships_is_read_once() -> None:
    assert aim("ort-cpu") is aim("ort-cpu")
