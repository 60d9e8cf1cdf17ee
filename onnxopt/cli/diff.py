"""``onnxopt diff``: what changed between two models?"""

from __future__ import annotations

import click

from .activity import Activity
from .options import debug_option, json_option
from .parsing import DimSize, unique


@click.command(name="diff")
@click.argument("a")
@click.argument("b")
@click.option(
    "--dim",
    "dims",
    multiple=True,
    type=DimSize(),
    metavar="NAME=VALUE",
    help="A size for a symbolic dim, to count MACs with; 1 by default; repeatable.",
)
@click.option(
    "--all", "everything", is_flag=True, help="List every change, not the first of each kind."
)
@click.option("--markdown", is_flag=True, help="Print the report as Markdown, and nothing else.")
@click.option("--exit-zero", is_flag=True, help="Exit with 0 also where the models differ.")
@json_option
@debug_option
def command(
    a: str,
    b: str,
    dims: tuple[tuple[str, int], ...],
    everything: bool,
    markdown: bool,
    exit_zero: bool,
    as_json: bool,
) -> int:
    """Tell what changed from A to B, by what they compute; exit 1 if anything did.

    Names of nodes and values and the order of nodes do not count. Nothing is run; `compare` tells
    whether the results are the same.
    """
    from .. import api
    from ..report import console, jsonfile
    from ..report import diff as report

    if markdown and as_json:
        raise click.UsageError("--markdown and --json exclude each other")
    sizes = unique(dims, "--dim")
    with Activity() as activity:
        activity.stage("comparing")
        found = api.diff(a, b, dims=sizes)
    limit = None if everything else report.SHOWN
    if as_json:
        click.echo(jsonfile.dumps({"a": a, "b": b, **found.to_json()}))
    elif markdown:
        click.echo(report.markdown(a, b, found, limit), nl=False)
    else:
        report.render(console.out(), a, b, found, limit)
    return 1 if found.different and not exit_zero else 0
