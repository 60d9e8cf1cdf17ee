"""What an optimisation did, for people: before and after, rewrites, repairs, validation."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from ..errors import ModelError
from . import measured, quantisation, validation
from .console import table
from .text import change, count, one_line, printable, seconds, size

if TYPE_CHECKING:
    from ..compiler.result import Census, Result
    from ..rewrite.stats import Stats

_OPS = 8
_REWRITES = 12
_REASONS = 8
_KEPT = 12


def render(out: Console, model: str, result: Result) -> None:
    """Prints the summary."""
    _heading(out, model, result)
    out.print(_before_after(result.before, result.after))
    _rewrites(out, result)
    if result.measured is not None:
        measured.render(out, result.measured)
    if result.quantisation is not None:
        quantisation.render(out, result.quantisation)
    _trouble(out, result)
    out.print()
    if result.validation is None:
        out.print("Validation  not asked for", style="yellow")
    else:
        validation.render(out, result.validation)


def _heading(out: Console, model: str, result: Result) -> None:

    line = Text(printable(model), style="bold")
    if result.output is not None:
        line.append(f" -> {printable(result.output)}")
    out.print(line)
    total = sum(result.seconds.values())
    laps = ", ".join(f"{name} {seconds(s)}" for name, s in result.seconds.items())
    out.print(f"{seconds(total)} ({laps})", style="dim")
    out.print()


def _before_after(before: Census, after: Census) -> object:

    grid = table("", "before", "after", "change")
    grid.add_row(
        "nodes", count(before.nodes), count(after.nodes), change(before.nodes, after.nodes)
    )
    if before.bytes and after.bytes:
        grid.add_row(
            "file size", size(before.bytes), size(after.bytes), change(before.bytes, after.bytes)
        )
    changed = _changed_ops(before, after)
    for op in changed[:_OPS]:
        old, new = before.ops.get(op, 0), after.ops.get(op, 0)
        grid.add_row(f"  {printable(op)}", count(old), count(new), f"{new - old:+,}")
    rest = changed[_OPS:]
    if rest:
        old, new = (sum(c.ops.get(op, 0) for op in rest) for c in (before, after))
        grid.add_row(f"  {len(rest)} other ops", count(old), count(new), f"{new - old:+,}")
    return Padding(grid, (0, 0, 0, 2), expand=False)


def _changed_ops(before: Census, after: Census) -> list[str]:
    deltas = {
        op: after.ops.get(op, 0) - before.ops.get(op, 0) for op in {**before.ops, **after.ops}
    }
    return sorted((op for op, d in deltas.items() if d), key=lambda op: (-abs(deltas[op]), op))


def _rewrites(out: Console, result: Result) -> None:

    made = _made(result)
    if not made:
        out.print("\nNothing to rewrite")
        return
    out.print(f"\nRewrites  {count(sum(made.values()))}", style="bold")
    parts = [f"{name} {count(times)}" for name, times in made.most_common()]
    if len(parts) > _REWRITES:
        parts[_REWRITES - 1 :] = [f"{len(parts) - _REWRITES + 1} more kinds (--stats)"]
    out.print(Padding(Text(", ".join(parts)), (0, 0, 0, 2), expand=False))


def _made(result: Result) -> Counter[str]:
    """Counts changes by rule, and by pass for passes that do not work through rules."""
    made = Counter(result.stats.fired)
    from ..pipeline.registry import installed

    known = installed()
    for record in result.records:
        if (
            record.changes
            and record.name not in result.stats.fired
            and not known.is_group(record.name)
        ):
            made[record.name] += record.changes
    return made


def _trouble(out: Console, result: Result) -> None:
    if result.left_out:
        out.print("\nLeft out, because they changed the results", style="bold yellow")
        for site in result.left_out:
            rule, _, where = site.partition("@")
            out.print(f"  {rule} at {printable(where)}")
    _kept(out, result.kept)
    for failure in result.failures:
        out.print(f"\nPass {failure.name} failed and was skipped", style="bold yellow")
        out.print(f"  {one_line(failure.message)}")
        if failure.reproducer is not None:
            out.print(f"  reproducer: {failure.reproducer}")
    for rule, where, message in result.stats.errors:
        out.print(f"\nRule {rule} failed at {printable(where)}", style="bold yellow")
        out.print(f"  {one_line(message)}")
    for note in result.stats.notes:
        out.print(f"\nNote: {one_line(note)}")


def _kept(out: Console, kept: Mapping[str, str]) -> None:
    """Names the nodes kept in single precision because the results differed without that."""
    if not kept:
        return
    out.print("\nKept in float32, because the results differed", style="bold yellow")
    for name, reason in list(kept.items())[:_KEPT]:
        out.print(f"  {printable(name)}: {one_line(reason)}")
    if len(kept) > _KEPT:
        out.print(f"  and {len(kept) - _KEPT} more (--json)")


def render_stats(out: Console, stats: Stats) -> None:
    """Prints what each rule did, and where its pattern matched and it declined, with the reasons."""
    grid = table("rule", "fired", "declined", "<reasons")
    names = sorted({*stats.fired, *stats.declined}, key=lambda n: (-stats.fired[n], n))
    for name in names:
        reasons = stats.declined.get(name, Counter[str]())
        rows = [f"{times} x {printable(why)}" for why, times in reasons.most_common(_REASONS)]
        if len(reasons) > _REASONS:
            rows.append(f"and {len(reasons) - _REASONS} more reasons (--json)")
        declined = count(reasons.total()) if reasons else ""
        grid.add_row(name, count(stats.fired[name]), declined, "\n".join(rows))
    out.print("\nRules", style="bold")
    out.print(grid)


def render_times(out: Console, result: Result) -> None:
    """Prints how long each pass took, all its runs together."""
    runs: Counter[str] = Counter()
    changes: Counter[str] = Counter()
    times: dict[str, float] = {}
    for record in result.records:
        runs[record.name] += 1
        changes[record.name] += record.changes
        times[record.name] = times.get(record.name, 0.0) + record.seconds
    total = sum(times.values())
    grid = table("pass", "runs", "changes", "time", "share")
    for name in sorted(times, key=lambda n: -times[n]):
        share = f"{100 * times[name] / total:.1f}%" if total else "-"
        grid.add_row(name, count(runs[name]), count(changes[name]), seconds(times[name]), share)
    grid.add_row("all", count(runs.total()), count(changes.total()), seconds(total), "")
    out.print("\nTime by pass", style="bold")
    out.print(grid)


def check_report(model: str, output: Path, report: Path, timings: str | None = None) -> None:
    """Refuses a report file that cannot be written or would destroy another file of the run.

    Raises:
        ModelError: It is a folder, lies in a folder that does not exist, or is one of the others.
    """
    if report.is_dir():
        raise ModelError(f"cannot write {report}: it is a directory; name a file")
    if not report.parent.is_dir():
        raise ModelError(f"cannot write {report}: the folder {report.parent} does not exist")
    others = [Path(model), output, output.with_name(f"{output.name}.data")]
    if timings is not None:
        others.append(Path(timings))
    for other in others:
        same = report.exists() and os.path.exists(other) and report.samefile(other)
        if same or report.absolute() == other.absolute():
            raise ModelError(f"the report {report} would overwrite {other}; choose another file")
