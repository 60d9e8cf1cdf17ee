"""What commands that write a model have in common: calling the API, and showing the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .activity import Activity

if TYPE_CHECKING:
    from ..compiler.result import Result


def produce(
    make: Callable[..., Result],
    model: str,
    output: str,
    *,
    no_validate: bool,
    as_json: bool,
    report: str | None,
    stats: bool,
    time_passes: bool,
    page: Callable[[Mapping[str, Any]], str] | None = None,
    **options: Any,
) -> None:
    """Makes a model with a function of the API and shows what was done.

    Args:
        make: The function.
        model: The model's file.
        output: Where the result goes.
        no_validate: Whether to leave out validation.
        as_json: Whether to print the report as JSON.
        report: A file to write the report to as well: JSON, or a page where it ends in ``.html``.
        stats: Whether to show what each rule did.
        time_passes: Whether to show how long each pass took.
        page: Makes a page of the report; None where there is none for the command.
        **options: Passed on.
    """
    if no_validate and options["require_validation"]:
        raise click.UsageError("--no-validate and --require-validation exclude each other")

    from ..errors import MismatchError
    from ..report import optimisation

    paged = report is not None and Path(report).suffix.lower() in (".html", ".htm")
    if paged and page is None:
        raise click.UsageError(
            f"--report {report}: this command writes JSON: name a file FILE.json"
        )
    if report is not None:
        optimisation.check_report(model, Path(output), Path(report), options.get("timings"))
    show = Report(model, as_json, report, stats, time_passes, page if paged else None)
    try:
        with Activity() as activity:
            if "print_after" in options:
                options["emit"] = activity.emit
            result = make(
                model, output, validate=not no_validate, progress=activity.stage, **options
            )
    except MismatchError as error:
        if error.result is not None:
            show(error.result)
        raise
    show(result)


class Report:
    """Renders a result in the ways asked for."""

    def __init__(
        self,
        model: str,
        as_json: bool,
        file: str | None,
        stats: bool,
        time_passes: bool,
        page: Callable[[Mapping[str, Any]], str] | None = None,
    ) -> None:
        self._page = page
        self._model = model
        self._as_json = as_json
        self._file = file
        self._stats = stats
        self._time_passes = time_passes

    def __call__(self, result: Result) -> None:
        from ..report import console, jsonfile, optimisation

        data = {"model": self._model, **result.to_json()}
        if self._file is not None:
            self._write(Path(self._file), data)
        if self._as_json:
            click.echo(jsonfile.dumps(data))
            self._warn(result)
            return
        out = console.out()
        optimisation.render(out, self._model, result)
        if self._stats:
            optimisation.render_stats(out, result.stats)
        if self._time_passes:
            optimisation.render_times(out, result)

    def _write(self, path: Path, data: dict[str, Any]) -> None:
        from ..report import environment, jsonfile

        if self._page is None:
            jsonfile.write(path, data)
            return
        about = {"command": environment.command(), "environment": environment.facts()}
        jsonfile.write_text(path, self._page({**data, **about}))

    def _warn(self, result: Result) -> None:
        """Says on standard error what a summary would have said: the result is not verified."""
        from ..report.text import one_line

        validation = result.validation
        if validation is not None and validation.status == "not-validated":
            reason = one_line(f"{self._model}: not validated: {validation.reason}")
            click.echo(f"warning: {reason}", err=True)
