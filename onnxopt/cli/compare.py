"""``onnxopt compare``: are two models numerically the same on each provider?"""

from __future__ import annotations

from typing import Any

import click

from .activity import Activity
from .options import debug_option, json_option, validation_options


@click.command(name="compare")
@click.argument("a")
@click.argument("b")
@validation_options
@json_option
@debug_option
def command(a: str, b: str, as_json: bool, **given: Any) -> int:
    """Run A and B on the same inputs and compare their outputs; exit 1 if they differ.

    A is the reference and runs without the runtime's graph optimisations, B as users run it.
    """
    from .. import api
    from ..report import console, jsonfile, validation

    given["providers"] = given["providers"] or None
    with Activity() as activity:
        activity.stage("comparing")
        found = api.compare(a, b, **given)
    if as_json:
        click.echo(jsonfile.dumps({"a": a, "b": b, **found.to_json()}))
    else:
        validation.render(console.out(), found, "Comparison")
    return 0 if found.status == "passed" else 1
