"""Files on the way: the source as a file, candidates to validate, and the final rename.

A candidate is written next to where it will go, in a hidden folder, so that publishing it is a
rename and nothing is left behind when something fails.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import onnx_ir as ir

from ..errors import ModelError
from ..io import load, save

if TYPE_CHECKING:
    import onnx

    from .options import ExternalData

    Source = str | os.PathLike[str] | onnx.ModelProto | ir.Model


_SHOWN = 32
"""Letters of the output's name in that of its hidden folder, which is longer and must fit as well."""


class Origin:
    """The model to optimise, as a file that can be read again at any time.

    Models given in memory are written to a temporary file first; the caller's object is never
    changed.

    Args:
        source: A path, a ``ModelProto`` or an ``onnx_ir.Model``.
        label: What messages call it; its path by default.
    """

    def __init__(self, source: Source, label: str = "") -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._fresh: ir.Model | None = None
        self._files: list[Path] | None = None
        if isinstance(source, (str, os.PathLike)):
            self.path = Path(source)
            self.label = label or str(source)
            return
        from ..io import from_source

        self._folder = tempfile.TemporaryDirectory(prefix="onnxopt-")
        self.path = Path(self._folder.name) / "model.onnx"
        self.label = label or "model in memory"
        save(from_source(source), self.path)

    def load(self) -> ir.Model:
        """Gives the model as it lies in the file, for the caller to change."""
        fresh, self._fresh = self._fresh, None
        return load(self.path) if fresh is None else fresh

    def peek(self) -> ir.Model:
        """Gives the model for looking at only; the next `load` hands on the same object."""
        if self._fresh is None:
            self._fresh = load(self.path)
        return self._fresh

    def all_nodes(self) -> Iterator[ir.Node]:
        """Yields the nodes of the model, those in bodies and functions too, for looking at only."""
        model = self.peek()
        yield from model.graph.all_nodes()
        for function in model.functions.values():
            yield from function.all_nodes()

    def files(self) -> list[Path]:
        """Lists the model file and the files of weights it refers to."""
        if self._files is None:
            beside = {
                Path(os.fspath(tensor.path))
                for graph in self.peek().graphs()
                for value in graph.initializers.values()
                if (tensor := value.const_value) is not None and hasattr(tensor, "path")
            }
            self._files = [self.path, *sorted(p for p in beside if not p.samefile(self.path))]
        return self._files

    def size(self) -> int:
        """Returns the bytes of the model file and of the weights it refers to."""
        return sum(path.stat().st_size for path in self.files())


class Stage:
    """A hidden folder for candidates of one output.

    Args:
        output: Where the result will go; None for a result that is only held in memory.
    """

    def __init__(self, output: Path | None) -> None:
        self._output = output
        self._folder: Path | None = None
        self.name = output.name if output is not None else "model.onnx"

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def folder(self) -> Path:
        """The folder, made when first needed."""
        if self._folder is None:
            parent = None if self._output is None else self._output.parent
            try:
                made = tempfile.mkdtemp(prefix=f".{self.name[:_SHOWN]}.", dir=parent)
            except OSError as error:
                raise ModelError(f"cannot write {self._output}: {error.strerror}") from None
            self._folder = Path(made)
        return self._folder

    def write(self, model: ir.Model, external_data: ExternalData) -> Path:
        """Writes a candidate, in the place of any earlier one."""
        path = self.folder / self.name
        for old in self.folder.iterdir():
            old.unlink()
        save(model, path, external_data=external_data)
        return path

    def publish(self) -> None:
        """Renames the candidate's files to where the user wants them, the model file last.

        They take on the modes of the files they replace.
        """
        assert self._output is not None
        for file in sorted(self.folder.iterdir(), key=lambda f: f.name == self.name):
            target = self._output.parent / file.name
            try:
                with suppress(FileNotFoundError):
                    file.chmod(stat.S_IMODE(target.stat().st_mode))
                os.replace(file, target)
            except OSError as error:
                raise ModelError(f"cannot write {self._output}: {error.strerror}") from None


def check_output(origin: Origin, output: Path) -> None:
    """Refuses an output that cannot be written or would destroy the input.

    Raises:
        ModelError: The folder does not exist, the path is a folder, or it is the input itself.
    """
    if output.is_dir():
        raise ModelError(f"cannot write {output}: it is a directory; name a file")
    if output.exists() and not output.is_file():
        raise ModelError(f"cannot write {output}: it is not a regular file")
    if not output.parent.is_dir():
        raise ModelError(f"cannot write {output}: the folder {output.parent} does not exist")
    if not origin.path.exists():
        return
    for mine in (output, output.with_name(f"{output.name}.data")):
        if os.path.exists(mine) and any(mine.samefile(theirs) for theirs in origin.files()):
            raise ModelError(f"{mine} belongs to the input itself; choose another output")
    if not os.access(output.parent, os.W_OK):
        raise ModelError(f"cannot write {output}: the folder {output.parent} is not writable")
