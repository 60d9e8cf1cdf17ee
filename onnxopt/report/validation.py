"""A validation for people: one line a provider and output, or the reason why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from .console import table
from .text import error, one_line, printable, seconds

if TYPE_CHECKING:
    from ..runtime.validation import OutputResult, ProviderResult, Validation

_STYLES = {"passed": "green", "failed": "bold red", "not-validated": "yellow"}
_GOOD = ("equal", "within-tolerance", "within-noise", "resembles")
_ROWS = 12


def render(out: Console, validation: Validation, title: str = "Validation") -> None:
    """Prints the verdict, and the figures of every output on every provider."""

    line = Text(f"{title}  ", style="bold")
    line.append(validation.status.replace("-", " "), style=_STYLES[validation.status])
    if validation.reason:
        line.append(f": {one_line(validation.reason)}", style="not bold")
    elif validation.providers:
        line.append(f"  {_circumstances(validation)}", style="not bold dim")
    out.print(line)
    for provider in validation.providers:
        if provider.outputs or provider.reason != validation.reason:
            _provider(out, provider)
    for note in validation.notes:
        out.print(Padding(Text(f"note: {one_line(note)}", style="dim"), (0, 0, 0, 2), expand=False))


def _circumstances(validation: Validation) -> str:
    samples = len(validation.samples)
    kind = "bit-exact rewrites only, " if validation.exact else ""
    tolerance = ""
    if validation.rtol is not None or validation.atol is not None:
        tolerance = f"rtol {validation.rtol or 0:g}, atol {validation.atol or 0:g}, "
    plural = "sample" if samples == 1 else "samples"
    return f"{kind}{tolerance}{samples} {plural}, {seconds(validation.seconds)}"


def _provider(out: Console, provider: ProviderResult) -> None:

    name = provider.provider.removesuffix("ExecutionProvider")
    where = name if provider.backend == "onnxruntime" else f"{name}, {provider.backend}"
    if provider.reason and not provider.outputs:
        out.print(f"  {where}: {one_line(provider.reason)}")
        return
    grid = table(where, "max abs", "max rel", "cosine", "SNR dB", "<verdict")
    shown = sorted(provider.outputs, key=lambda o: o.verdict in _GOOD)[:_ROWS]
    for output in shown:
        grid.add_row(*_row(output), style=None if output.verdict in _GOOD else "red")
    out.print(Padding(grid, (0, 0, 0, 2), expand=False))
    if len(provider.outputs) > len(shown):
        out.print(f"  and {len(provider.outputs) - len(shown)} more outputs", style="dim")


def _row(output: OutputResult) -> tuple[str, ...]:
    verdict = output.verdict.replace("-", " ")
    if output.verdict not in (*_GOOD, "not-compared") and output.detail:
        verdict = f"{verdict}: {one_line(output.detail)}"
    if output.verdict == "not-compared":
        return printable(output.name), "-", "-", "-", "-", verdict
    return (
        printable(output.name),
        error(output.max_abs),
        error(output.max_rel),
        f"{output.cosine:.6f}",
        "inf" if output.snr_db is None else f"{output.snr_db:.1f}",
        verdict,
    )
