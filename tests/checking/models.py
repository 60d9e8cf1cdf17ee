"""A classifier, the like of it in other words, and builds that each break one key of a budget."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx.parser

CLASSIFIER = """<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N,4] x) => (float[N,3] y)
<float[4,3] w = {1,-2,3,-4,5,-6,7,-8,9,-10,11,-12}> {
  one = Constant <value = float {1.0}> ()
  first = Mul (x, one)
  y = MatMul (first, w)
}"""
BUILD = """<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N,4] x) => (float[N,3] y)
<float[4,3] w = {1,-2,3,-4,5,-6,7,-8,9,-10,11,-12}> { y = MatMul (x, w) }"""
OPPOSITE = BUILD.replace("y = MatMul (x, w)", "z = MatMul (x, w) y = Neg (z)")
INVALID_NUMBERS = BUILD.replace("y = MatMul (x, w)", "z = MatMul (x, w) y = Sqrt (z)")
FOREIGN = """<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
agraph (float[N,4] x) => (float[N,4] y) { y = com.microsoft.Gelu (x) }"""
UNKNOWN = FOREIGN.replace("com.microsoft", "org.nobody")


def write(path: Path, text: str) -> Path:
    """Writes a model given as text."""
    path.write_bytes(onnx.parser.parse_model(text).SerializeToString())
    return path
