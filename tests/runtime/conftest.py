"""Fixtures for the runtime layer: small models on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import parser

Writer = Callable[..., Path]
Loader = Callable[..., ir.Model]


def _proto(
    text: str | onnx.ModelProto, weights: dict[str, np.ndarray] | None = None
) -> onnx.ModelProto:
    proto = onnx.ModelProto()
    proto.CopyFrom(parser.parse_model(text) if isinstance(text, str) else text)
    for name, array in (weights or {}).items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return proto


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Write a model (onnx text or proto, plus weights by name) and return its path."""
    count = iter(range(100))

    def writer(
        text: str | onnx.ModelProto, weights: dict[str, np.ndarray] | None = None, **kwargs: Any
    ) -> Path:
        path = tmp_path / f"model-{next(count)}.onnx"
        onnx.save(_proto(text, weights), path, **kwargs)
        return path

    return writer


@pytest.fixture
def parse() -> Loader:
    """Parse a model (onnx text or proto, plus weights by name) into the IR."""

    def loader(
        text: str | onnx.ModelProto, weights: dict[str, np.ndarray] | None = None
    ) -> ir.Model:
        return ir.from_proto(_proto(text, weights))

    return loader


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator; tests draw signed numbers from it."""
    return np.random.default_rng(5)
