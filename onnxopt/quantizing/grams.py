"""The service that passes get Gram matrices from: added up from samples once, kept in files, mapped when read."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from ..io.identity import identity

Array = np.ndarray[Any, Any]
Sum = Callable[[ir.Model, Sequence[str], Path], Mapping[str, Path]]
"""Adds up the Gram matrices of values, and writes them to files in a folder."""
_KEPT = 4 << 30


class Grams:
    """Gives the Gram matrices of a model's values.

    Those of earlier calls are kept, up to some gigabytes: a model is quantised several times while layers are sought that
    should stay in float.

    Args:
        add_up: Adds up what is not known yet.
    """

    def __init__(self, add_up: Sum) -> None:
        self._add_up = add_up
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files: dict[tuple[str, str], Path | None] = {}

    def __call__(self, model: ir.Model, names: Sequence[str]) -> Mapping[str, Array]:
        """Gives X^T X, float64 [K, K], of values; one that no sample reached is left out.

        Raises:
            OnnxoptError: The model does not run on the samples.
        """
        fingerprint = identity(model)
        missing = [name for name in names if (fingerprint, name) not in self._files]
        if missing:
            self._make_room({(fingerprint, name) for name in names})
            found = self._add_up(model, missing, self._place())
            self._files |= {(fingerprint, name): found.get(name) for name in missing}
        files = {name: self._files[fingerprint, name] for name in names}
        return _Mapped({name: path for name, path in files.items() if path is not None})

    def _place(self) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="onnxopt-")
        return Path(tempfile.mkdtemp(dir=self._folder.name))

    def _make_room(self, needed: set[tuple[str, str]]) -> None:
        """Deletes the matrices that are not needed now, where they take much of the disk."""
        paths = [path for path in self._files.values() if path is not None]
        if sum(path.stat().st_size for path in paths) <= _KEPT:
            return
        for key in [key for key in self._files if key not in needed]:
            path = self._files.pop(key)
            if path is not None:
                path.unlink()


class _Mapped(Mapping[str, Array]):
    """Arrays in files, each mapped into memory when it is asked for."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files

    def __getitem__(self, name: str) -> Array:
        found: Array = np.load(self._files[name], mmap_mode="r")
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)
