"""``onnxopt optimize``: read, rewrite, validate, write."""

from __future__ import annotations

from typing import Any

import click

from .options import (
    by_name,
    debug_option,
    measuring_options,
    result_options,
    rewriting_options,
    validation_options,
)


@click.command(name="optimize")
@click.argument("model")
@click.option("-o", "--output", required=True, metavar="OUT", help="Where to write the result.")
@rewriting_options
@validation_options
@result_options
@measuring_options
@click.option(
    "--print-after",
    multiple=True,
    metavar="NAME|all",
    help="Print the model after a pass, on standard error; repeatable.",
)
@click.option("--verify-each", is_flag=True, help="Check the model's structure after each pass.")
@click.option(
    "--bisect-limit", type=click.IntRange(0), metavar="N", help="Make at most N rewrites."
)
@debug_option
def command(model: str, output: str, **given: Any) -> None:
    """Optimise MODEL, validate the result against it, and write it to OUT."""
    from .. import api
    from .producing import produce

    produce(api.optimize, model, output, **by_name(given))
