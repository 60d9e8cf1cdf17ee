"""How a model was quantised, for people: accuracy, speed, what is computed in integers, what costs most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from .console import table
from .text import one_line, printable

if TYPE_CHECKING:
    from ..quantizing.account import Account, Trial
    from ..runtime.fusion.report import FusionReport

_WORST = 3
_UNFUSED = 8


def render(out: Console, account: Account) -> None:
    """Prints the account."""
    line = Text("\nQuantised  ", style="bold")
    line.append(f"{account.mode}, {_speed(account)}", style="not bold")
    out.print(line)
    out.print(_trials(account))
    _methods(out, account)
    _back(out, account.chosen)
    _worst(out, account)
    _fusion(out, account)
    for note in account.notes:
        out.print(f"\nNote: {one_line(note)}")


def _speed(account: Account) -> str:
    ratio = account.chosen.ratio
    if ratio is None or account.float_ms is None or account.quantised_ms is None:
        return "not timed"
    return (
        f"{account.float_ms:.3g} ms -> {account.quantised_ms:.3g} ms, {1 / ratio:.2f} times as fast as the "
        "optimised float model"
    )


def _trials(account: Account) -> object:
    grid = table(
        "mode",
        "layers",
        "in float",
        "SNR dB",
        "cosine",
        "top-1",
        "time",
        f"<{account.asked or 'verdict'}",
    )
    for trial in account.trials:
        quality = trial.quality
        ratio = "-" if trial.ratio is None else f"{trial.ratio:.3f}"
        overall = None if quality is None else quality.overall
        if overall is None:
            figures = ["-", "-", "-"]
        else:
            top1 = "-" if overall.top1 is None else f"{100 * overall.top1:.1f}%"
            figures = [f"{overall.snr_db:.1f}", f"{overall.cosine:.5f}", top1]
        verdict = one_line(trial.why) or _verdict(trial)
        row = [str(trial.layers), str(len(trial.back)), *figures, ratio]
        chosen = trial.mode == account.mode
        grid.add_row(trial.mode, *row, verdict, style="bold" if chosen else None)
    return Padding(grid, (0, 0, 0, 2), expand=False)


def _verdict(trial: Trial) -> str:
    if trial.quality is None:
        return "nothing to judge on (--calibrate, --eval)"
    return "holds" if trial.holds else "does not hold"


def _methods(out: Console, account: Account) -> None:
    """How ranges could have been chosen, the closest first."""
    for trial in account.trials:
        if trial.methods:
            ranked = sorted(trial.methods.items(), key=lambda item: -item[1])
            line = Text(f"\nRanges ({trial.mode})  ", style="bold")
            rough = dict.fromkeys(trial.glanced, "~")
            told = ", ".join(f"{name} {rough.get(name, '')}{snr:.1f}" for name, snr in ranked)
            line.append(f"SNR in dB: {told}", style="not bold")
            out.print(line)


def _back(out: Console, trial: Trial) -> None:
    if not trial.back:
        return
    out.print(f"\nBack in float for accuracy  {len(trial.back)}", style="bold")
    out.print(Padding(Text(", ".join(map(printable, trial.back))), (0, 0, 0, 2), expand=False))


def _worst(out: Console, account: Account) -> None:
    """The layers that cost most accuracy, with what would leave them in float."""
    layers = [layer for layer in account.layers if layer["option"]]
    worst = [layer for layer in layers if (layer["measured"] or 0.0) > 0]
    heading = "Costs most accuracy"
    if not worst:
        worst = [layer for layer in layers if layer["noise"]]
        heading = "Rounded most (--report measures what that costs)"
    if not worst:
        return
    out.print(f"\n{heading}; to leave one in float, add", style="bold")
    for layer in worst[:_WORST]:
        out.print(f"  {printable(layer['option'])}")


def _fusion(out: Console, account: Account) -> None:
    report = account.fusion
    if report is None:
        return
    line = Text("\nOn the runtime  ", style="bold")
    line.append(one_line(_summary(report)), style="not bold")
    out.print(line)
    for item in report.unfused[:_UNFUSED]:
        why = one_line(item.reason) or "no reason was found"
        out.print(f"  {printable(item.name)} ({item.op_type}) in float: {why}")
    if len(report.unfused) > _UNFUSED:
        out.print(f"  and {len(report.unfused) - _UNFUSED} more (--json)")


def _summary(report: FusionReport) -> str:
    if report.failure:
        return f"it does not load: {report.failure}"
    meant = len(report.findings)
    done = sum(found.status == "integer" for found in report.findings)
    floats = sum(report.floats.values())
    return f"{done} of {meant} nodes that should compute in integers do; {floats} others compute in float"
