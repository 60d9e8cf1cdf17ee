"""An array read from a stream piece by piece: numpy's file format has its elements in order after the header."""

from __future__ import annotations

import tempfile
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

_COPY = 1 << 20


class ArrayStream:
    """Reads a ``.npy`` stream along its first axis.

    Args:
        stream: the stream, at its start; read forwards only, and closed with this.

    Raises:
        ValueError: not a ``.npy`` stream, or one of Python objects.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._copy: Any = None
        version = npy.read_magic(stream)
        if version == (1, 0):
            header = npy.read_array_header_1_0(stream)
        elif version == (2, 0):
            header = npy.read_array_header_2_0(stream)
        else:
            raise ValueError(f"it is of version {version[0]}.{version[1]} of numpy's format")
        self.shape, fortran, self.dtype = header
        if self.dtype.hasobject:
            raise ValueError("it holds Python objects (save strings with dtype 'U')")
        if fortran and len(self.shape) > 1:
            self._spool()
        self._next = 0

    def take(self, rows: int) -> np.ndarray:
        """Reads the next entries of the first axis: an array [rows, ...], in C order.

        Raises:
            ValueError: the stream ends before.
        """
        shape = (rows, *self.shape[1:])
        if self._copy is not None:
            begin, self._next = self._next, self._next + rows
            return np.array(self._copy[begin : self._next], order="C")
        return self._elements(shape)

    def whole(self) -> np.ndarray:
        """Reads all of it, from a stream that nothing was taken from."""
        return self.take(self.shape[0]) if self.shape else self._elements(())

    def close(self) -> None:
        """Closes the stream."""
        self._copy = None
        self._stream.close()

    def _elements(self, shape: tuple[int, ...]) -> np.ndarray:
        array = np.empty(shape, self.dtype)
        if array.nbytes:
            self._fill(array.reshape(-1).view(np.uint8))
        return array

    def _fill(self, target: np.ndarray) -> None:
        done = 0
        while done < len(target):
            piece = self._stream.read(min(len(target) - done, _COPY))
            if not piece:
                raise ValueError("it ends before its last element: the file was cut off")
            target[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
            done += len(piece)

    def _spool(self) -> None:
        """In Fortran's order a sample is scattered over all of the array: keep that on disk, and map it."""
        spool = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the map
        while piece := self._stream.read(_COPY):
            spool.write(piece)
        spool.flush()
        self._copy = np.memmap(spool, self.dtype, "r", shape=self.shape, order="F")
