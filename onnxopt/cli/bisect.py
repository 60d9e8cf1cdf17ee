"""``onnxopt bisect``: which single rewrite changes the result?"""

from __future__ import annotations

from typing import Any

import click

from .activity import Activity
from .options import by_name, debug_option, json_option, rewriting_options, validation_options


@click.command(name="bisect")
@click.argument("model")
@rewriting_options
@validation_options
@json_option
@debug_option
def command(model: str, as_json: bool, **given: Any) -> int:
    """Find the single rewrite of MODEL that changes its results; exit 1 if there is one."""
    from .. import api
    from ..report import bisection, console, jsonfile

    options = by_name(given)
    with Activity() as activity:
        culprit = api.bisect(model, progress=activity.stage, **options)
    if as_json:
        found = None if culprit is None else culprit.to_json()
        click.echo(jsonfile.dumps({"model": model, "culprit": found}))
    else:
        bisection.render(console.out(), model, culprit)
    return 0 if culprit is None else 1
