"""Making text from a model safe to show: names may hold line breaks, terminal codes, or megabytes."""

from __future__ import annotations

from onnxopt.errors import ModelError

_LONGEST = 1000


def checked(text: str) -> str:
    """Return text from a protobuf message.

    Raises:
        ValueError: If it is not UTF-8. protobuf hands such text out as bytes, and refuses to take it back,
            so the model could not be written.
    """
    if type(text) is not str:
        raise ValueError(f"the text {text!r:.100} is not UTF-8; export the model again")
    return text


def optional(text: str) -> str | None:
    """Return text from a protobuf message, None for none.

    Raises:
        ValueError: If it is not UTF-8.
    """
    return checked(text) if text else None


def printable(text: str) -> str:
    """Return text on one line, with whatever is not printable escaped, cut to a readable length."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 200]} [...] {text[-150:]}"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown(error: ModelError) -> ModelError:
    """Return an error whose message is printable: the same one where it is already."""
    text = printable(str(error))
    return error if text == str(error) else ModelError(text)
