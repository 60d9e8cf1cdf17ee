"""Inputs as readers see them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from onnxopt.runtime.facts import Dim, InputSpec

Spec = Callable[..., InputSpec]


@pytest.fixture
def spec() -> Spec:
    """Describe an input."""

    def make(name: str, *shape: Dim, dtype: str = "float32") -> InputSpec:
        return InputSpec(name, "tensor", dtype, list(shape))

    return make
