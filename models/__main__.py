"""``python -m models``: list and export reference models."""

from __future__ import annotations

from pathlib import Path

import click

import models


@click.group()
def main() -> None:
    """Reference models: list them, export them."""


@main.command("list")
def list_models() -> None:
    """Names and what they are."""
    from models.catalog import REFERENCES

    for reference in REFERENCES.values():
        click.echo(f"{reference.name:15}{reference.summary}")


@main.command("export")
@click.argument("name", type=click.Choice(models.names()))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option("--size", type=click.Choice(models.SIZES), default="tiny", show_default=True)
@click.option(
    "--exporter", type=click.Choice(models.EXPORTERS), default="torchscript", show_default=True
)
@click.option("--static", is_flag=True, help="Fixed dims, those of the example inputs.")
@click.option("--opset", type=int, help="Operator set; 17 for torchscript, 20 for dynamo.")
@click.option(
    "--attention", type=click.Choice(models.ATTENTIONS), help="For models of transformers; sdpa."
)
@click.option("--raw", is_flag=True, help="Switch the exporter's own optimisations off.")
def export_model(
    name: str,
    output: Path,
    size: str,
    exporter: models.Exporter,
    static: bool,
    opset: int | None,
    attention: models.Attention | None,
    raw: bool,
) -> None:
    """Export the reference model NAME."""
    try:
        models.export(
            name,
            output,
            size=size,
            exporter=exporter,
            dynamic=not static,
            opset=opset,
            optimize=not raw,
            attention=attention,
        )
    except (ValueError, ImportError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{output}: {output.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
