"""onnxopt: a graph-level compiler over ONNX models, verified on the runtime."""

from __future__ import annotations

__version__ = "0.1.0"
