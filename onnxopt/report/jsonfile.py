"""Reports as JSON: for standard output and for files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import replace_text
from ..errors import ModelError


def dumps(data: object) -> str:
    """Writes plain data as JSON that every parser reads.

    Infinities and NaN, which JSON lacks, become null.
    """
    return json.dumps(_strict(data), indent=2, ensure_ascii=True, allow_nan=False)


def _strict(data: Any) -> Any:
    if isinstance(data, dict):
        return {str(key): _strict(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_strict(value) for value in data]
    if isinstance(data, np.generic):
        data = data.item()
    if isinstance(data, float) and not math.isfinite(data):
        return None
    if data is None or isinstance(data, (str, bool, int, float)):
        return data
    return str(data)


def write(path: Path, data: object) -> None:
    """Writes a report to a file, whole or not at all.

    Raises:
        ModelError: It cannot be written there.
    """
    write_text(path, dumps(data) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a text file in UTF-8, whole or not at all.

    Raises:
        ModelError: It cannot be written there.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_text(
                text, encoding="utf-8"
            )  # a pipe or a device: there is nothing to replace
            return
        replace_text(path, text)
    except OSError as error:
        raise ModelError(f"cannot write {path}: {error.strerror or error}") from None
