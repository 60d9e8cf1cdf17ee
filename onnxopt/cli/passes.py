"""``onnxopt passes``: everything a pipeline can name."""

from __future__ import annotations

import click

from .options import debug_option, json_option


@click.command(name="passes")
@click.argument("name", required=False)
@json_option
@debug_option
def command(name: str | None, as_json: bool) -> None:
    """List passes, rules and pipelines; with NAME, tell all about one of them."""
    from ..report import catalog, console, jsonfile, passes

    entries = catalog.entries()
    if name is not None:
        entry = catalog.find(entries, name)
        if as_json:
            click.echo(jsonfile.dumps(entry.to_json()))
        else:
            passes.render_one(console.out(), entry)
    elif as_json:
        click.echo(jsonfile.dumps([entry.to_json() for entry in entries]))
    else:
        passes.render_all(console.out(), entries)
