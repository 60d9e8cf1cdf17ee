"""Tests of whole quantisations time results, but not until it is clear which is faster: two rounds do."""

from __future__ import annotations

import pytest

from onnxopt.quantizing import run


@pytest.fixture(autouse=True)
def timed_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cuts timing short."""
    monkeypatch.setattr(run, "_TIMING", 0.0)
