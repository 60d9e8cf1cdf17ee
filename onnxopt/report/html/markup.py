"""Writing HTML so that nothing from a model is ever taken for markup.

Text becomes markup only through `el`, which escapes it; `Html` marks what is markup already.
"""

from __future__ import annotations

from html import escape

from ..text import printable

_VOID = frozenset({"meta"})
Child = str | None
"""Text, which is escaped unless it is `Html`; None is left out."""


class Html(str):
    """Markup, which needs no escaping."""

    __slots__ = ()


def el(tag: str, *children: Child, **attributes: str | float | bool | None) -> Html:
    """Writes an element.

    Args:
        tag: Its name.
        children: What is in it.
        attributes: By name; ``_`` stands for ``-``, and one at the end is dropped (``class_``). None and False are left
            out, True has no value.
    """
    written = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in _VOID:
        return Html(f"<{tag}{written}>")
    return Html(f"<{tag}{written}>{join(*children)}</{tag}>")


def join(*children: Child) -> Html:
    """Writes things one after another."""
    return Html("".join(_child(child) for child in children if child is not None))


def _child(child: str) -> str:
    return child if isinstance(child, Html) else escape(printable(child))


def _attribute(name: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = name.removesuffix("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return f' {name}="{escape(printable(text))}"'
