"""Plots as SVG inside the page: colours come from its style, so that they follow dark mode and print."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from .markup import Html, el

_WIDTH, _HEIGHT = 760.0, 270.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 12.0, 12.0, 34.0
_SMALL = (320.0, 130.0)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers inside a range, about so many."""
    if not high > low:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1.0, 2.0, 5.0, 10.0) if power * m >= raw)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [step * i for i in range(first, last + 1)]


class Series:
    """Numbers along the depth of a model.

    Args:
        kind: ``first`` or ``second``: its colour.
        label: What it is.
        values: One for each place; None where it is not known.
    """

    def __init__(self, kind: str, label: str, values: Sequence[float | None]) -> None:
        self.kind = kind
        self.label = label
        self.values = [v if v is not None and math.isfinite(v) else None for v in values]


def lines(names: Sequence[str], series: Sequence[Series], across: str, up: str) -> Html | None:
    """Draws lines over places in order; None where there is nothing to draw.

    Args:
        names: What is at each place, shown where the pointer rests.
        series: The lines.
        across: What the horizontal axis is.
        up: What the vertical axis is.
    """
    known = [value for one in series for value in one.values if value is not None]
    if not known:
        return None
    low, high = min(known), max(known)
    margin = 0.1 * (high - low) or 1.0
    low, high = low - margin, high + margin
    frame = _Frame((0.0, max(len(names) - 1, 1)), (low, high), _WIDTH, _HEIGHT)
    parts = [frame.rule(value) for value in ticks(low, high)]
    step = max(1, math.ceil(len(names) / 12))
    for place in range(0, len(names), step):
        parts.append(frame.under(place, str(place + 1)))
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(_text(middle, _HEIGHT - 2, across, "middle"))
    for one in series:
        parts += _line(one, names, frame)
    legend = (el("span", el("i", class_=one.kind), one.label) for one in series)
    picture = _svg(_WIDTH, _HEIGHT, f"{up} by {across}", *parts)
    return el(
        "figure",
        el("div", *legend, class_="legend"),
        el("div", picture, class_="scroll wide", tabindex="0", role="region", aria_label=up),
    )


def histogram(
    title: str, bins: Mapping[str, object], low: float, high: float, caption: str
) -> Html:
    """Draws counts on a logarithmic scale, with the range that can be stored.

    Args:
        title: The tensor.
        bins: ``start``, ``width`` and ``counts``.
        low: The smallest value that can be stored.
        high: The largest.
        caption: What is to be said of it.
    """
    start, width = float(str(bins["start"])), float(str(bins["width"]))
    counts = bins["counts"]
    assert isinstance(counts, Sequence)
    stop = start + width * len(counts)
    heights = [math.log1p(count) for count in counts]
    margin = 0.03 * (max(stop, high) - min(start, low))
    span = min(start, low) - margin, max(stop, high) + margin
    frame = _Frame(span, (0.0, max([*heights, 1.0])), *_SMALL)
    parts = [
        el(
            "rect",
            el("title", f"{start + i * width:.4g} to {start + (i + 1) * width:.4g}: {count:,}"),
            class_="bar",
            x=frame.x(start + i * width),
            y=frame.y(height),
            width=max(frame.x(width) - frame.x(0.0), 0.5),
            height=frame.y(0.0) - frame.y(height),
        )
        for i, (count, height) in enumerate(zip(counts, heights, strict=True))
        if count
    ]
    parts += [frame.beyond(span[0], low), frame.beyond(high, span[1])]
    parts += [frame.limit(low), frame.limit(high), frame.floor()]
    parts += [frame.under(value, f"{value:.4g}".replace("-", "−")) for value in ticks(*span, 7)]
    return el(
        "figure",
        el("h3", title, class_="name"),
        _svg(*_SMALL, f"histogram of {title}", *parts),
        el("figcaption", caption),
    )


class _Frame:
    """Places numbers on a picture."""

    def __init__(
        self,
        across: tuple[float, float],
        up: tuple[float, float],
        width: float,
        height: float,
    ) -> None:
        small = width < _WIDTH
        self._across, self._up = across, up
        self._left, self._right = (4.0, width - 4.0) if small else (_LEFT, width - _RIGHT)
        self._top, self._bottom = (6.0, height - 20.0) if small else (_TOP, height - _BOTTOM)

    def x(self, value: float) -> float:
        low, high = self._across
        return self._left + (value - low) / (high - low) * (self._right - self._left)

    def y(self, value: float) -> float:
        low, high = self._up
        return self._bottom - (value - low) / (high - low) * (self._bottom - self._top)

    def rule(self, value: float) -> Html:
        """A line across at a value, with its number."""
        y = self.y(value)
        text = _text(self._left - 6, y + 4, f"{value:g}".replace("-", "−"), "end")
        line = el("line", class_="axis", x1=self._left, x2=self._right, y1=y, y2=y)
        return Html(line + text)

    def floor(self) -> Html:
        return el(
            "line", class_="axis", x1=self._left, x2=self._right, y1=self._bottom, y2=self._bottom
        )

    def under(self, value: float, text: str) -> Html:
        """A number below the axis."""
        x = min(max(self.x(value), self._left + 8), self._right - 8)
        return _text(x, self._bottom + 15, text, "middle")

    def limit(self, value: float) -> Html:
        """An end of the range."""
        x = self.x(value)
        return el("line", class_="limit", x1=x, x2=x, y1=self._top, y2=self._bottom)

    def beyond(self, low: float, high: float) -> Html:
        """What lies beyond the range."""
        width = max(self.x(high) - self.x(low), 0.0)
        height = self._bottom - self._top
        return el("rect", class_="outside", x=self.x(low), y=self._top, width=width, height=height)


def _line(series: Series, names: Sequence[str], frame: _Frame) -> list[Html]:
    parts, run = list[Html](), list[str]()
    dots = list[Html]()
    for place, value in enumerate(series.values):
        if value is None:
            continue  # joined over what is not known: layers whose result stays as it is
        x, y = frame.x(place), frame.y(value)
        run.append(f"{x:.1f},{y:.1f}")
        told = f"{place + 1}: {names[place]}, {series.label.lower()} {value:.1f} dB"
        dots.append(el("circle", el("title", told), class_=series.kind, cx=x, cy=y, r=3))
    parts.append(el("polyline", class_=series.kind, points=" ".join(run)))
    return parts + dots


def _text(x: float, y: float, text: str, anchor: str) -> Html:
    return el("text", text, x=x, y=y, text_anchor=anchor)


def _svg(width: float, height: float, label: str, *parts: Html) -> Html:
    return el("svg", *parts, viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=label)
