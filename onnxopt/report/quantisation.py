"""How a model was quantised, for people: accuracy, speed, what is computed in integers, what costs most."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from .console import table
from .text import one_line, printable

if TYPE_CHECKING:
    from ..quantizing.account import Account, Trial

_SHARES = 8
_UNFUSED = 8


def render(out: Console, account: Account) -> None:
    """Prints the account."""
    line = Text("\nQuantised  ", style="bold")
    line.append(f"{account.mode}, {_speed(account)}", style="not bold")
    out.print(line)
    out.print(_trials(account))
    _back(out, account.chosen)
    _shares(out, account.chosen)
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
        "mode", "layers", "in float", "SNR dB", "cosine", "top-1", "time", f"<{account.asked}"
    )
    for trial in account.trials:
        quality = trial.quality
        ratio = "-" if trial.ratio is None else f"{trial.ratio:.3f}"
        if quality is None or quality.failure:
            figures = ["-", "-", "-"]
        else:
            agreement = quality.agreement
            top1 = "-" if agreement is None else f"{100 * agreement:.1f}%"
            figures = [f"{quality.snr_db:.1f}", f"{quality.cosine:.5f}", top1]
        verdict = one_line(trial.why) or _verdict(trial)
        row = [str(trial.layers), str(len(trial.back)), *figures, ratio]
        chosen = trial.mode == account.mode
        grid.add_row(trial.mode, *row, verdict, style="bold" if chosen else None)
    return Padding(grid, (0, 0, 0, 2), expand=False)


def _verdict(trial: Trial) -> str:
    if trial.quality is None:
        return "nothing to judge on (--calibrate, --eval)"
    return "holds" if trial.holds else "does not hold"


def _back(out: Console, trial: Trial) -> None:
    if not trial.back:
        return
    out.print(f"\nBack in float for accuracy  {len(trial.back)}", style="bold")
    out.print(Padding(Text(", ".join(map(printable, trial.back))), (0, 0, 0, 2), expand=False))


def _shares(out: Console, trial: Trial) -> None:
    """The layers that cost most accuracy, with the option that would leave each in float."""
    rest = [share for share in trial.shares if share[0] not in trial.back and share[2] > 0]
    if not rest:
        return
    out.print("\nWhat costs most accuracy now", style="bold")
    grid = table("layer", "noise", "<to leave it in float")
    for name, op_type, noise in rest[:_SHARES]:
        option = f"--exclude {shlex.quote(name)}"
        grid.add_row(f"{printable(name)} ({op_type})", f"{100 * noise:.3f}%", printable(option))
    out.print(Padding(grid, (0, 0, 0, 2), expand=False))


def _fusion(out: Console, account: Account) -> None:
    report = account.fusion
    if report is None:
        return
    line = Text("\nOn the runtime  ", style="bold")
    line.append(one_line(report.summary()), style="not bold")
    out.print(line)
    for item in report.unfused[:_UNFUSED]:
        out.print(f"  {printable(item.name)} ({item.op_type}) in float: {one_line(item.reason)}")
    if len(report.unfused) > _UNFUSED:
        out.print(f"  and {len(report.unfused) - _UNFUSED} more (--json)")
