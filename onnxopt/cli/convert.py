"""``onnxopt convert``: compute in float16 or bfloat16."""

from __future__ import annotations

from typing import Any

import click

from .options import (
    debug_option,
    freeze_option,
    opset_option,
    result_options,
    target_option,
    validation_options,
)


@click.command(name="convert")
@click.argument("model")
@click.option("-o", "--output", required=True, metavar="OUT", help="Where to write the result.")
@click.option(
    "--to", required=True, type=click.Choice(["fp16", "bf16"]), help="The type to compute in."
)
@click.option(
    "--keep",
    multiple=True,
    metavar="NAME|OPTYPE",
    help="A node (by its name or a result's; in a body LOOP/body/NODE) or an operator to keep in float32; repeatable.",
)
@click.option(
    "--io-types",
    "io_types",
    multiple=True,
    metavar="same|converted|NAME",
    help="Whether the model's float32 inputs and outputs keep their type; or one that changes, repeatable. "
    "Default: same.",
)
@opset_option
@freeze_option
@target_option
@validation_options
@result_options
@debug_option
def command(model: str, output: str, io_types: tuple[str, ...], **given: Any) -> None:
    """Convert MODEL to float16 or bfloat16, validate the result against it, and write it to OUT.

    What would overflow or lose its meaning stays in float32.
    """
    from .. import api
    from .producing import produce

    given["providers"] = given["providers"] or None
    produce(api.convert, model, output, io_types=io_types or "same", **given)
