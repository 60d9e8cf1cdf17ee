"""``onnxopt check``: does a build keep to its budget?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .activity import Activity
from .options import debug_option, json_option, validation_options


@click.command(name="check")
@click.argument("outs", metavar="OUT...", nargs=-1, required=True)
@click.option("--budget", required=True, metavar="FILE.toml", help="What must hold: limits by key.")
@click.option("--against", metavar="MODEL", help="The model that OUT was made of, to compare with.")
@validation_options
@click.option("--junit", metavar="FILE.xml", help="Write the verdicts as JUnit XML.")
@click.option("--markdown", metavar="FILE.md", help="Write the verdicts as Markdown.")
@json_option
@debug_option
def command(
    outs: tuple[str, ...],
    budget: str,
    against: str | None,
    junit: str | None,
    markdown: str | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Hold OUT against a budget of numbers; exit 1 and name each that does not hold.

    Sizes, domains and versions are read from the file; closeness and latency are measured beside
    the model of --against, each key of the budget by itself. What cannot be measured does not hold.
    """
    from .. import api
    from ..report import checking, console, jsonfile
    from ..report import junit as xml

    given["providers"] = given["providers"] or None
    with Activity() as activity:
        checks = [
            api.check(out, budget, against=against, progress=activity.stage, **given)
            for out in outs
        ]
    if junit is not None:
        jsonfile.write_text(Path(junit), xml.junit(checks))
    if markdown is not None:
        jsonfile.write_text(Path(markdown), checking.markdown(checks))
    passed = all(check.passed for check in checks)
    if as_json:
        data = {"status": "passed" if passed else "failed"}
        click.echo(jsonfile.dumps({**data, "models": [check.to_json() for check in checks]}))
    else:
        for check in checks:
            checking.render(console.out(), check)
    return 0 if passed else 1
