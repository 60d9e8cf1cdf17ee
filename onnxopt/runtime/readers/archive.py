"""A ``.npz`` archive, sample by sample: all members are read side by side, none of them as a whole."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from onnxopt.errors import UsageError
from onnxopt.runtime.facts import InputSpec
from onnxopt.runtime.readers.reader import Reader, Sample
from onnxopt.runtime.readers.split import Cut, agreed, cut_of
from onnxopt.runtime.readers.stream import ArrayStream


class ArchiveReader(Reader):
    """Reads one ``.npz``, a sequence of samples."""

    def read(self) -> Iterator[Sample]:
        """Yields the archive's samples in order."""
        return archive_samples(Path(self.source), self.specs)


def archive_samples(
    path: Path, specs: Sequence[InputSpec], *, begins: bool = True
) -> Iterator[Sample]:
    """Yield the samples of an archive.

    Args:
        path: the file.
        specs: the model's inputs.
        begins: whether its first sample begins a sequence.

    Raises:
        UsageError: it cannot be read, or its arrays disagree on how many samples there are.
    """
    with ExitStack() as stack:
        members = _members(path, stack)
        by_name = {spec.name: spec for spec in specs}
        cuts = {name: cut_of(member.shape, by_name.get(name)) for name, member in members.items()}
        count = agreed(str(path), cuts)
        shared = {
            name: _read(path, name, member, None)
            for name, member in members.items()
            if cuts[name].count is None
        }
        for number in range(count):
            feed = dict(shared)
            for name, member in members.items():
                if name not in shared:
                    feed[name] = _read(path, name, member, cuts[name])
            yield Sample(f"{path}, sample {number}", feed, begins and not number)


def _members(path: Path, stack: ExitStack) -> dict[str, ArrayStream]:
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
    except Exception as error:
        raise UsageError(f"{path}: not a .npz archive: {_why(error)}") from error
    members: dict[str, ArrayStream] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        try:
            member = ArrayStream(cast(BinaryIO, archive.open(info)))
        except Exception as error:  # zip, zlib and numpy each raise their own
            raise UsageError(f"{path}: array {name!r} cannot be read: {_why(error)}") from error
        members[name] = member
        stack.callback(member.close)
    return members


def _read(path: Path, name: str, member: ArrayStream, cut: Cut | None) -> Any:
    try:
        if cut is None:
            return member.whole()
        piece = member.take(cut.rows)
    except Exception as error:
        raise UsageError(f"{path}: array {name!r} cannot be read: {_why(error)}") from error
    return piece if cut.keep else np.asarray(piece[0])


def _why(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
