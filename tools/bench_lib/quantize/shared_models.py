"""Trained models and recordings that lie beside the project, and are no part of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT.parent / "shared" / "models"


def missing() -> str:
    """Why nothing can be read from there; '' where it can."""
    return "" if FOLDER.is_dir() else f"no trained models in {FOLDER}"


def session(path: Path, threads: int = 1) -> Any:
    """A session on the CPU, with onnxruntime's default optimisations and no warnings."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
