"""What the command line says about an error, in one line, and the exit code that goes with it."""

from __future__ import annotations

from ..errors import ModelError, OnnxoptError

INTERRUPTED = 130
PIPE_CLOSED = 141


def describe(error: Exception, *, hint: bool = True) -> tuple[str, int]:
    """Puts an error in words.

    Args:
        error: What was raised. Only errors of this package were raised on purpose.
        hint: Whether to say how more can be learnt about the others.

    Returns:
        The line and the exit code.
    """
    if isinstance(error, OnnxoptError):
        return str(error), error.exit_code
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename is not None else ""
        return f"{place}{error.strerror}", ModelError.exit_code
    if isinstance(error, MemoryError):
        return "out of memory", ModelError.exit_code
    more = "; run again with --debug for details" if hint else ""
    return f"internal error: {type(error).__name__}: {error}{more}", ModelError.exit_code
