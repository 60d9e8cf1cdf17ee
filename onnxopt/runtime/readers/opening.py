"""From what the user wrote after ``--calibrate`` to a reader."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from onnxopt.errors import UsageError
from onnxopt.runtime.facts import InputSpec
from onnxopt.runtime.readers.archive import ArchiveReader
from onnxopt.runtime.readers.folder import FolderReader
from onnxopt.runtime.readers.function import FunctionReader
from onnxopt.runtime.readers.images import ImageReader
from onnxopt.runtime.readers.options import ReaderOptions
from onnxopt.runtime.readers.reader import Reader

_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_FORMS = "give FILE.npz, a folder, images:FOLDER or module:function"


def open_reader(
    text: str, specs: Sequence[InputSpec], *, options: ReaderOptions | None = None
) -> Reader:
    """Make the reader of samples.

    Args:
        text: ``FILE.npz``, a folder of samples, ``images:FOLDER`` or ``module:function``.
        specs: the inputs that the model must be fed, as `onnxopt.runtime.trace.input_specs` gives them.
        options: how to read.

    Returns:
        The reader; samples are read when it is iterated over, never before.

    Raises:
        UsageError: nothing lies there, or it is of no kind that can be read.
        RuntimeMissingError: images without Pillow.
    """
    options = options or ReaderOptions()
    if text.startswith("images:"):
        return ImageReader(text.removeprefix("images:"), specs, options)
    path = Path(text)
    if path.is_dir():
        return FolderReader(text, specs, options)
    if path.is_file():
        if path.suffix != ".npz":
            raise UsageError(f"{text}: not a .npz archive: {_FORMS}")
        return ArchiveReader(text, specs, options)
    if path.suffix != ".npz" and _FUNCTION.fullmatch(text):
        return FunctionReader(text, specs, options)
    raise UsageError(f"{text}: does not exist: {_FORMS}")
