"""A folder of samples: archives, arrays and onnx's test sets, in the order of their names.

What lies in it is told apart as in `onnxopt.runtime.samples`, but read one sample at a time. All of it is one
sequence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from onnxopt.errors import UsageError
from onnxopt.runtime import samples
from onnxopt.runtime.facts import InputSpec
from onnxopt.runtime.feedio import Feed
from onnxopt.runtime.readers.archive import archive_samples
from onnxopt.runtime.readers.reader import Reader, Sample
from onnxopt.runtime.readers.split import agreed, cut_of


class FolderReader(Reader):
    """Reads a folder of ``.npz``, ``.npy`` and ``.pb`` files."""

    def read(self) -> Iterator[Sample]:
        """Yields the folder's samples.

        Raises:
            UsageError: there are none, or a file cannot be read.
        """
        first = True
        for where, feed in _folder(Path(self.source), self.wanted, self.specs):
            yield Sample(where, feed, first)
            first = False
        if first:
            raise UsageError(
                f"{self.source}: holds no samples: expected .npz, .npy or input_*.pb files; for"
                f" pictures write images:{self.source}"
            )


def _folder(
    folder: Path, wanted: Sequence[InputSpec], specs: Sequence[InputSpec]
) -> Iterator[tuple[str, Feed]]:
    protobufs = sorted(folder.glob("input_*.pb"), key=samples.number)
    if protobufs:
        yield str(folder), samples.protobuf_set(folder, protobufs, specs)
    arrays = sorted(folder.glob("*.npy"))
    if arrays:
        yield from _arrays(folder, arrays, wanted, specs)
    for path in sorted(folder.glob("*.npz")):
        for sample in archive_samples(path, specs):
            yield sample.where, sample.feed
    for path in sorted(folder.glob("test_data_set_*"), key=samples.number):
        if path.is_dir():
            yield from _folder(path, wanted, specs)


def _arrays(
    folder: Path, paths: Sequence[Path], wanted: Sequence[InputSpec], specs: Sequence[InputSpec]
) -> Iterator[tuple[str, Feed]]:
    """One file an input, mapped rather than read; a sample is copied out of each."""
    by_name = {spec.name: spec for spec in specs}
    named = all(path.stem in by_name for path in paths)
    mapped = samples.array_set(folder, paths, specs if named else wanted, mapped=True)
    cuts = {name: cut_of(array.shape, by_name.get(name)) for name, array in mapped.items()}
    count = agreed(str(folder), cuts)
    for number in range(count):
        feed: Feed = {}
        for name, array in mapped.items():
            cut = cuts[name]
            if cut.count is not None:
                begin = number * cut.rows
                array = array[begin : begin + cut.rows] if cut.keep else array[begin, ...]
            feed[name] = np.array(array, order="C")
        yield f"{folder}, sample {number}", feed
