"""Numbers and names as people read them."""

from __future__ import annotations

_UNITS = ("kB", "MB", "GB", "TB")


def printable(text: str) -> str:
    """Escapes what would move the cursor or change colours: names come from files of any origin."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def one_line(text: str) -> str:
    """Joins the lines of a message and escapes the rest that cannot be printed."""
    return printable(" ".join(text.split()))


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def size(count: int) -> str:
    """Writes a number of bytes: ``"512 B"``, ``"1.71 MB"`` (powers of 1,000)."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in _UNITS:
        value /= 1000
        if value < 999.5 or unit == _UNITS[-1]:
            break
    return f"{value:#.3g}".rstrip(".") + f" {unit}" if value < 999.5 else f"{value:,.0f} {unit}"


def count(number: int | None) -> str:
    """Writes a number of things: ``"12,345"``; a dash where it is not known."""
    return "-" if number is None else f"{number:,}"


def scaled(number: int | None) -> str:
    """Writes a large number of things in short: ``"4.12 G"``."""
    if number is None:
        return "-"
    value = float(number)
    for unit in ("", " k", " M", " G", " T", " P"):
        if value < 999.5:
            return f"{number}" if not unit else f"{value:#.3g}".rstrip(".") + unit
        value /= 1000
    return f"{value:,.0f} E"


def change(before: int, after: int) -> str:
    """Writes a change as a percentage: ``"-12.5%"``; nothing where there is none."""
    if before == after:
        return "="
    if before == 0:
        return "new"
    percent = 100 * (after - before) / before
    if abs(percent) < 0.05:
        return f"{after - before:+,}"
    return f"{percent:+,.1f}%"


def error(value: float | None) -> str:
    """Writes an error measure: ``"0"``, ``"1.2e-07"``."""
    return "-" if value is None else f"{value:.2g}"


def seconds(value: float) -> str:
    """Writes a duration: ``"12 ms"``, ``"3.4 s"``, ``"2 min 5 s"``."""
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    if value < 59.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"
