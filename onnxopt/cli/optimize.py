"""``onnxopt optimize``: read, rewrite, validate, write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .activity import Activity
from .options import by_name, debug_option, json_option, rewriting_options, validation_options
from .parsing import Amount

if TYPE_CHECKING:
    from ..compiler.result import Result


@click.command(name="optimize")
@click.argument("model")
@click.option("-o", "--output", required=True, metavar="OUT", help="Where to write the result.")
@rewriting_options
@validation_options
@click.option("--no-validate", is_flag=True, help="Do not run the result against the original.")
@click.option(
    "--require-validation",
    is_flag=True,
    help="Fail where the model cannot be run here, instead of saying so.",
)
@click.option(
    "--external-data",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Whether weights go into a file of their own.",
)
@click.option(
    "--timings",
    metavar="FILE.json",
    help="What -O3 measured: used if the file exists, else measured and written there.",
)
@click.option(
    "--measure-budget",
    type=Amount(positive=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long -O3 may measure.",
)
@json_option
@click.option("--report", metavar="FILE.json", help="Write the report to a file as well.")
@click.option(
    "--print-after",
    multiple=True,
    metavar="NAME|all",
    help="Print the model after a pass, on standard error; repeatable.",
)
@click.option("--stats", is_flag=True, help="Show what each rule did and why it declined.")
@click.option("--time-passes", is_flag=True, help="Show how long each pass took.")
@click.option("--verify-each", is_flag=True, help="Check the model's structure after each pass.")
@click.option(
    "--bisect-limit", type=click.IntRange(0), metavar="N", help="Make at most N rewrites."
)
@debug_option
def command(
    model: str,
    output: str,
    no_validate: bool,
    as_json: bool,
    report: str | None,
    stats: bool,
    time_passes: bool,
    **given: Any,
) -> None:
    """Optimise MODEL, validate the result against it, and write it to OUT."""
    if no_validate and given["require_validation"]:
        raise click.UsageError("--no-validate and --require-validation exclude each other")
    options = by_name(given)

    from .. import api
    from ..errors import MismatchError
    from ..report import optimisation

    if report is not None:
        optimisation.check_report(model, Path(output), Path(report), given["timings"])
    show = _Report(model, as_json, report, stats, time_passes)
    try:
        with Activity() as activity:
            result = api.optimize(
                model,
                output,
                validate=not no_validate,
                emit=activity.emit,
                progress=activity.stage,
                **options,
            )
    except MismatchError as error:
        if error.result is not None:
            show(error.result)
        raise
    show(result)


class _Report:
    """Renders a result in the ways asked for."""

    def __init__(
        self, model: str, as_json: bool, file: str | None, stats: bool, time_passes: bool
    ) -> None:
        self._model = model
        self._as_json = as_json
        self._file = file
        self._stats = stats
        self._time_passes = time_passes

    def __call__(self, result: Result) -> None:
        from ..report import console, jsonfile, optimisation

        data = {"model": self._model, **result.to_json()}
        if self._file is not None:
            jsonfile.write(Path(self._file), data)
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

    def _warn(self, result: Result) -> None:
        """Says on standard error what a summary would have said: the result is not verified."""
        from ..report.text import one_line

        validation = result.validation
        if validation is not None and validation.status == "not-validated":
            reason = one_line(f"{self._model}: not validated: {validation.reason}")
            click.echo(f"warning: {reason}", err=True)
