"""Inference functions of the operators, by family. Importing this package registers them all."""

from __future__ import annotations

from onnxopt.analysis.ops import (
    contrib,
    control,
    convolution,
    elementwise,
    image,
    indexing,
    legacy,
    matrix,
    movement,
    nn,
    quantize,
    reduce,
    shapes,
    slicing,
)

__all__ = [
    "contrib",
    "control",
    "convolution",
    "elementwise",
    "image",
    "indexing",
    "legacy",
    "matrix",
    "movement",
    "nn",
    "quantize",
    "reduce",
    "shapes",
    "slicing",
]
