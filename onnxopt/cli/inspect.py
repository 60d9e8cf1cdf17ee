"""``onnxopt inspect``: what a model is made of."""

from __future__ import annotations

import click

from .activity import Activity
from .options import debug_option, json_option


@click.command(name="inspect")
@click.argument("model")
@json_option
@debug_option
def command(model: str, as_json: bool) -> None:
    """Show operators, parameters, bytes, MACs, inputs and outputs, opsets, largest weights."""
    from .. import api
    from ..report import console, inspection, jsonfile

    with Activity() as activity:
        activity.stage("reading")
        summary = api.inspect(model)
    if as_json:
        click.echo(jsonfile.dumps({"model": model, **summary.to_json()}))
    else:
        inspection.render(console.out(), model, summary)
