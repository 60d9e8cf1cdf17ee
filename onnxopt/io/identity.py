"""What tells a model from others, its weights included: ranges of one training do not hold for another."""

from __future__ import annotations

import hashlib

import onnx_ir as ir

from onnxopt.analysis.fingerprint import fingerprint
from onnxopt.io.tensors import content_digest

_DIGITS = 32


def identity(model: ir.Model) -> str:
    """Return 32 hexadecimal digits, of the graph and the bytes of all its weights; they are read once."""
    digest = hashlib.sha256(fingerprint(model).encode())
    for graph in model.graphs():
        for name, value in graph.initializers.items():
            digest.update(name.encode())
            if value.const_value is not None:
                digest.update(content_digest(value.const_value))
    return digest.hexdigest()[:_DIGITS]
