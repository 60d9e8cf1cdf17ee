"""Model files: reading without touching weights, writing at the speed of the disk, and safe paths.

The names are resolved on first use, so that importing this package does not import onnx.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnxopt.io.carry import SparseTensor as SparseTensor
    from onnxopt.io.carry import VerbatimType as VerbatimType
    from onnxopt.io.carry import pinned_names as pinned_names
    from onnxopt.io.carry import sparse_tensor as sparse_tensor
    from onnxopt.io.check import check_structure as check_structure
    from onnxopt.io.reader import from_proto as from_proto
    from onnxopt.io.reader import from_source as from_source
    from onnxopt.io.reader import load as load
    from onnxopt.io.stored import BytesTensor as BytesTensor
    from onnxopt.io.stored import MappedTensor as MappedTensor
    from onnxopt.io.tensors import chunks as chunks
    from onnxopt.io.tensors import content_digest as content_digest
    from onnxopt.io.tensors import same_bytes as same_bytes
    from onnxopt.io.writer import SaveReport as SaveReport
    from onnxopt.io.writer import save as save
    from onnxopt.io.writer import to_proto as to_proto

_HOMES = {
    "BytesTensor": "stored",
    "MappedTensor": "stored",
    "SaveReport": "writer",
    "SparseTensor": "carry",
    "VerbatimType": "carry",
    "check_structure": "check",
    "chunks": "tensors",
    "content_digest": "tensors",
    "from_proto": "reader",
    "from_source": "reader",
    "load": "reader",
    "pinned_names": "carry",
    "same_bytes": "tensors",
    "save": "writer",
    "sparse_tensor": "carry",
    "to_proto": "writer",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
