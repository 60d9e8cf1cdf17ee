"""What changed between two models, by what they compute: nodes, weights, interface, totals."""

from __future__ import annotations

from .compare import diff_models
from .result import ModelDiff

__all__ = ["ModelDiff", "diff_models"]
