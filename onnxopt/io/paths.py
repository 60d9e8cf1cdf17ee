"""Files that hold weights: which paths are safe to follow, and whether a file is still the same one."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath

from onnxopt.errors import ModelError


@dataclass(frozen=True, slots=True)
class DataFile:
    """A regular file as it was when the model was read.

    Weights stay in their files and are read on demand, so each later opening checks that the file is
    still the one whose offsets and lengths were validated. No descriptor is held: a model may have
    thousands of data files.

    Attributes:
        path: The file, with links resolved.
        shown: The path as the user or the model spells it, for messages.
        size: Size in bytes.
        device: ``st_dev``.
        inode: ``st_ino``.
        modified: ``st_mtime_ns``.
    """

    path: str
    shown: str
    size: int
    device: int
    inode: int
    modified: int

    @classmethod
    def of(cls, path: str, shown: str, what: str = "") -> DataFile:
        """Describe an existing file.

        Args:
            path: Where it is.
            shown: How to call it in messages.
            what: Who needs it, as the beginning of an error message.

        Raises:
            ModelError: If it is missing, not a regular file, or not readable.
        """
        lead, name = (what, f"'{shown}'") if what else (f"{shown}: ", "it")
        try:
            found = os.stat(path)
        except FileNotFoundError:
            gone = f"there is no such file as {name}" if what else "there is no such file"
            raise ModelError(f"{lead}{gone}; check the path") from None
        except (OSError, ValueError) as error:
            raise ModelError(f"{lead}{name} cannot be read: {_cause(error)}") from None
        if stat.S_ISDIR(found.st_mode):
            raise ModelError(f"{lead}{name} is a directory; name the file inside it")
        if not stat.S_ISREG(found.st_mode):
            raise ModelError(f"{lead}{name} is a device or pipe; it must be a regular file")
        if not os.access(path, os.R_OK):
            raise ModelError(f"{lead}{name} cannot be read: permission denied")
        real = os.path.realpath(path)
        return cls(real, shown, found.st_size, found.st_dev, found.st_ino, found.st_mtime_ns)

    @contextmanager
    def open(self) -> Iterator[int]:
        """Open the file for reading; the descriptor is closed on leaving.

        Raises:
            ModelError: If the file is gone or was changed since it was described.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except OSError as error:
            raise ModelError(f"{self.shown}: cannot be read any more: {_cause(error)}") from None
        try:
            self._check_unchanged(os.fstat(descriptor))
            yield descriptor
        finally:
            os.close(descriptor)

    def _check_unchanged(self, now: os.stat_result) -> None:
        found = (now.st_size, now.st_dev, now.st_ino, now.st_mtime_ns)
        if found != (self.size, self.device, self.inode, self.modified):
            raise ModelError(f"{self.shown}: the file changed after it was loaded; load it again")

    def is_same_file(self, path: str) -> bool:
        """Whether ``path`` leads to this very file, through whatever links."""
        try:
            found = os.stat(path)
        except (OSError, ValueError):
            return False
        return (found.st_dev, found.st_ino) == (self.device, self.inode)


def _cause(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


class DataFolder:
    """The folder that a model's external data must stay in.

    A location is a relative path below the model's folder. Where the model is itself a link, as in
    a download cache, the folder of the file it leads to is allowed too, since both belong to the model.

    Args:
        model: The model file, or None when only the folder is known.
        folder: The folder of the model.
    """

    def __init__(self, folder: str, model: str | None = None) -> None:
        self.folder = folder or "."
        self._roots = [os.path.realpath(self.folder)]
        if model is not None:
            self._roots.append(os.path.dirname(os.path.realpath(model)))
        self._files: dict[str, DataFile] = {}

    def file(self, location: str, what: str) -> DataFile:
        """Return the data file that ``location`` names.

        Args:
            location: The ``location`` entry of a tensor's external data.
            what: File and tensor, as the beginning of an error message.

        Raises:
            ModelError: If the path is unsafe, or the file missing or unreadable.
        """
        known = self._files.get(location)
        if known is None:
            known = DataFile.of(self._resolve(location, what), location, what)
            self._files[location] = known
        return known

    def used(self) -> tuple[DataFile, ...]:
        """Return the data files that were asked for."""
        return tuple(self._files.values())

    def _resolve(self, location: str, what: str) -> str:
        windows, posix = PureWindowsPath(location), PurePosixPath(location)
        if not location or "\x00" in location:
            raise ModelError(f"{what}its external data names no file; the model is damaged")
        if posix.is_absolute() or windows.is_absolute() or windows.drive or windows.root:
            raise ModelError(
                f"{what}its external data is at the absolute path '{location}'; only files in the "
                "model's folder are read"
            )
        if ".." in posix.parts or ".." in windows.parts:
            raise ModelError(
                f"{what}its external data is at '{location}', outside the model's folder; move the "
                "file next to the model"
            )
        path = os.path.realpath(os.path.join(self.folder, location))
        if not any(os.path.commonpath((root, path)) == root for root in self._roots):
            raise ModelError(
                f"{what}its external data '{location}' is a link that leaves the model's folder; "
                "copy the file next to the model"
            )
        return path
