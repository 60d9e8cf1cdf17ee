"""``onnxopt inspect``: what a model is made of."""

from __future__ import annotations

import click

from .activity import Activity
from .options import debug_option, json_option
from .parsing import DimSize, unique


@click.command(name="inspect")
@click.argument("model")
@click.option(
    "--dim",
    "dims",
    multiple=True,
    type=DimSize(),
    metavar="NAME=VALUE",
    help="A size for a symbolic dim, to count MACs with; 1 by default; repeatable.",
)
@json_option
@debug_option
def command(model: str, dims: tuple[tuple[str, int], ...], as_json: bool) -> None:
    """Show operators, parameters, bytes, MACs, inputs and outputs, opsets, largest weights."""
    from .. import api
    from ..report import console, inspection, jsonfile

    sizes = unique(dims, "--dim")
    with Activity() as activity:
        activity.stage("reading")
        summary = api.inspect(model, dims=sizes)
    if as_json:
        click.echo(jsonfile.dumps({"model": model, **summary.to_json()}))
    else:
        inspection.render(console.out(), model, summary)
