"""The errors onnxopt raises, each with the exit code the command line gives for it."""

from __future__ import annotations


class OnnxoptError(Exception):
    """Base of every error this package raises on purpose.

    The message is one line that names the file or node, the cause and the remedy.
    """

    exit_code = 1


class MismatchError(OnnxoptError):
    """The optimised model does not compute what the original computes."""

    exit_code = 1


class UsageError(OnnxoptError):
    """An option, pipeline, pass or target was named or used wrongly."""

    exit_code = 2


class ModelError(OnnxoptError):
    """The model, or a file it needs, cannot be read, is invalid, or cannot be written."""

    exit_code = 3


class RuntimeMissingError(OnnxoptError):
    """onnxruntime, a provider or another optional package is not installed here."""

    exit_code = 4
