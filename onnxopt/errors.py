"""The errors onnxopt raises, each with the exit code the command line gives for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .compiler.result import Result


class OnnxoptError(Exception):
    """Base of every error this package raises on purpose.

    The message is one line that names the file or node, the cause and the remedy.
    """

    exit_code = 1


class MismatchError(OnnxoptError):
    """The optimised model does not compute what the original computes.

    Args:
        message: One line.
        result: What was done and how far it is off, where there is that much to tell.
    """

    exit_code = 1

    def __init__(self, message: str, result: Result | None = None) -> None:
        super().__init__(message)
        self.result = result


class UsageError(OnnxoptError):
    """An option, pipeline, pass or target was named or used wrongly."""

    exit_code = 2


class UnobservedError(UsageError):
    """Statistics of another model, or of too few of its values, were given; some passes do without."""


class ModelError(OnnxoptError):
    """The model, or a file it needs, cannot be read, is invalid, or cannot be written."""

    exit_code = 3


class RuntimeMissingError(OnnxoptError):
    """onnxruntime, a provider or another optional package is not installed here."""

    exit_code = 4
