"""The frame of a page: its head, its style and its script, all inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from .markup import Child, Html, el, join

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""Nothing is loaded from anywhere, whatever the page holds."""


@dataclass(frozen=True)
class Section:
    """A part of a page with a heading.

    Attributes:
        title: The heading.
        body: What is under it.
        lead: A sentence that says how to read it.
    """

    title: str
    body: Html
    lead: Child = None


def document(title: str, head: Html, sections: Sequence[Section | None]) -> str:
    """Writes a page.

    Args:
        title: For the browser's window.
        head: What is at the top, before the first section.
        sections: The parts, in order; None is left out.
    """
    parts = [_section(section) for section in sections if section is not None]
    page = el(
        "html",
        el(
            "head",
            el("meta", charset="utf-8"),
            el("meta", name="viewport", content="width=device-width, initial-scale=1"),
            el("meta", name="color-scheme", content="light dark"),
            el("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            el("title", title),
            el("style", _file("page.css")),
        ),
        el("body", el("main", head, *parts), el("script", _file("page.js"))),
        lang="en",
    )
    return f"<!doctype html>\n{page}\n"


def _section(section: Section) -> Html:
    lead = None if section.lead is None else el("p", section.lead, class_="lead")
    return el("section", el("h2", section.title), lead, section.body)


def _file(name: str) -> Html:
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    return Html(f"\n{text}")


def tiles(items: Sequence[tuple[str, str, str]]) -> Html:
    """Writes the most important figures: what each is, the figure, and what it comes from."""
    return el(
        "div",
        *(
            el(
                "div",
                el("span", what, class_="what"),
                el("strong", figure),
                el("span", why, class_="why") if why else None,
                class_="tile",
            )
            for what, figure, why in items
        ),
        class_="tiles",
    )


def pairs(items: Sequence[tuple[str, Child]]) -> Html:
    """Writes names with what they stand for."""
    return el("dl", *(join(el("dt", name), el("dd", value)) for name, value in items))


def notes(items: Sequence[str], kind: str = "note") -> Html | None:
    """Writes things to be read; None where there are none."""
    if not items:
        return None
    return el("ul", *(el("li", item) for item in items), class_=f"notes {kind}")
