"""Feeds on disk: how inputs travel to the child process that runs the models.

A feed is one JSON file that describes each value, with the arrays beside it as ``.npy`` files, so
that the child reads one sample at a time. Extended element types (bfloat16, ...) are stored as
the unsigned integers that hold their bits; strings are stored in the JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from onnxopt.runtime.tensors import extended_dtype, is_extended

Feed = dict[str, Any]
"""Input name -> ndarray, list (sequence), None (empty optional) or dict (map)."""


def save_feed(feed: Mapping[str, Any], folder: Path, index: int) -> None:
    """Write sample ``index`` into ``folder``."""
    writer = _Writer(folder, f"{index:05d}")
    tree = {name: writer.encode(value) for name, value in feed.items()}
    (folder / f"{index:05d}.json").write_text(json.dumps(tree), encoding="utf-8")


def load_feed(folder: Path, index: int) -> Feed:
    """Read sample ``index`` back."""
    tree = json.loads((folder / f"{index:05d}.json").read_text(encoding="utf-8"))
    return {name: _decode(node, folder) for name, node in tree.items()}


class _Writer:
    def __init__(self, folder: Path, stem: str) -> None:
        self._folder = folder
        self._stem = stem
        self._count = 0

    def encode(self, value: Any) -> dict[str, Any]:
        if value is None:
            return {"kind": "none"}
        if isinstance(value, list | tuple):
            return {"kind": "list", "items": [self.encode(item) for item in value]}
        if isinstance(value, dict):
            pairs = [[_scalar(key), _scalar(item)] for key, item in value.items()]
            return {"kind": "map", "items": pairs}
        return self._encode_array(np.asarray(value))

    def _encode_array(self, array: np.ndarray) -> dict[str, Any]:
        if array.dtype.kind in "OUS":
            flat = [_text(item) for item in array.ravel().tolist()]
            return {"kind": "strings", "shape": list(array.shape), "items": flat}
        node: dict[str, Any] = {"kind": "array", "file": f"{self._stem}-{self._count}.npy"}
        self._count += 1
        if is_extended(array.dtype):
            node["dtype"] = array.dtype.name
            array = array.view(np.dtype(f"u{array.dtype.itemsize}"))
        np.save(self._folder / node["file"], array, allow_pickle=False)
        return node


def _scalar(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _text(value: Any) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def _decode(node: dict[str, Any], folder: Path) -> Any:
    match node["kind"]:
        case "none":
            return None
        case "list":
            return [_decode(item, folder) for item in node["items"]]
        case "map":
            return {key: item for key, item in node["items"]}  # noqa: C416 - pairs are lists
        case "strings":
            return np.array(node["items"], dtype=object).reshape(node["shape"])
        case _:
            array = np.load(folder / node["file"], allow_pickle=False)
            if "dtype" in node:
                array = array.view(extended_dtype(node["dtype"]))
            return array
