"""Columns of a weight, read a panel at a time, so that memory does not grow with its size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from onnxopt.io.tensors import evaluated

Array = np.ndarray[Any, Any]
_ELEMENTS = 1 << 22
_LEAST = 16
_MAPPED = 64 << 20


@dataclass(frozen=True)
class Columns:
    """The columns of a weight.

    Attributes:
        tensor: [K, N], or [N, K] where ``transposed``.
        transposed: Whether the columns are what the tensor holds as rows.
    """

    tensor: ir.TensorProtocol
    transposed: bool

    @property
    def dims(self) -> tuple[int, int]:
        """K and N."""
        first, second = (int(dim) for dim in self.tensor.shape.numpy())
        return (second, first) if self.transposed else (first, second)

    def panels(self) -> Iterator[tuple[slice, Array]]:
        """Yields ranges of columns, an even number but for the last, and their weights [K, n] in float32."""
        depth, width = self.dims
        step = max(_LEAST, _ELEMENTS // depth // 2 * 2)
        tensor = evaluated(self.tensor)  # What is computed when it is needed is computed once.
        for start in range(0, width, step):
            at = slice(start, min(start + step, width))
            yield at, self._panel(tensor, at)

    def _panel(self, tensor: ir.TensorProtocol, at: slice) -> Array:
        """Copies columns.

        What lies in a file is mapped anew for each part of its rows, so that pages that were read are given back: the
        system maps those around what is touched as well, which for columns is the whole file.
        """
        if self.transposed:
            return np.array(tensor.numpy()[at].T, dtype=np.float32, order="C")
        depth, width = self.dims
        panel = np.empty((depth, at.stop - at.start), np.float32)
        step = max(1, _MAPPED // (width * int(tensor.dtype.itemsize)))
        for start in range(0, depth, step):
            rows = slice(start, start + step)
            panel[rows] = tensor.numpy()[rows, at]
        return panel
