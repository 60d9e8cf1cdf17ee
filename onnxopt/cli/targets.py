"""``onnxopt targets``: what the result of an optimisation can be made to run on."""

from __future__ import annotations

import click

from .options import debug_option, json_option


@click.command(name="targets")
@click.argument("name", required=False)
@json_option
@debug_option
def command(name: str | None, as_json: bool) -> None:
    """List targets; with NAME or the path of a .toml file, tell all about one of them."""
    from ..report import console, jsonfile, targets

    if name is not None:
        profile = targets.profile(name)
        if as_json:
            click.echo(jsonfile.dumps(profile.to_json()))
        else:
            targets.render_one(console.out(), profile)
        return
    profiles = targets.profiles()
    if as_json:
        click.echo(jsonfile.dumps([p.to_json() for p in profiles]))
    else:
        targets.render_all(console.out(), profiles)
