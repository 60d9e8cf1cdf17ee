"""Options that several commands share, as decorators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from .parsing import Amount, DimSize, InputShape, unique
from .program import DEBUG

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Command], Command]


def _all(decorators: Sequence[Decorator[Any]]) -> Decorator[Any]:
    def apply(function: Command) -> Command:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


def _debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:  # noqa: ARG001
    ctx.meta[DEBUG] = value


debug_option: Decorator[Any] = click.option(
    "--debug",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_debug,
    help="Show tracebacks.",
)

json_option: Decorator[Any] = click.option(
    "--json", "as_json", is_flag=True, help="Print the report as JSON, and nothing else."
)

validation_options: Decorator[Any] = _all(
    [
        click.option(
            "--inputs",
            multiple=True,
            metavar="FILE.npz|DIR",
            help="Samples to run, arrays by input name; repeatable. Default: generated ones.",
        ),
        click.option(
            "--provider",
            "providers",
            multiple=True,
            metavar="NAME",
            help="Execution provider: cpu, cuda, ...; repeatable. Default: cpu, and cuda if present.",
        ),
        click.option(
            "--rtol", type=Amount(), help="Relative tolerance. Default: follows from the types."
        ),
        click.option(
            "--atol", type=Amount(), help="Absolute tolerance. Default: follows from the types."
        ),
        click.option(
            "--custom-op-library",
            "custom_op_libraries",
            multiple=True,
            metavar="FILE.so",
            help="Shared library of custom operators; repeatable.",
        ),
        click.option(
            "--timeout",
            type=Amount(positive=True),
            default=600.0,
            show_default=True,
            metavar="SECONDS",
            help="How long running the original, and running the result, may each take.",
        ),
    ]
)

result_options: Decorator[Any] = _all(
    [
        click.option(
            "--no-validate", is_flag=True, help="Do not run the result against the original."
        ),
        click.option(
            "--require-validation",
            is_flag=True,
            help="Fail where the model cannot be run here, instead of saying so.",
        ),
        click.option(
            "--external-data",
            type=click.Choice(["auto", "always", "never"]),
            default="auto",
            show_default=True,
            help="Whether weights go into a file of their own.",
        ),
        json_option,
        click.option("--report", metavar="FILE.json", help="Write the report to a file as well."),
        click.option("--stats", is_flag=True, help="Show what each rule did and why it declined."),
        click.option("--time-passes", is_flag=True, help="Show how long each pass took."),
    ]
)

target_option: Decorator[Any] = click.option(
    "--target",
    default="generic",
    show_default=True,
    metavar="NAME|FILE.toml",
    help="What the result must run on; `onnxopt targets` lists the names.",
)

measuring_options: Decorator[Any] = _all(
    [
        click.option(
            "--timings",
            metavar="FILE.json",
            help="What -O3 measured: used if the file exists, else measured and written there.",
        ),
        click.option(
            "--measure-budget",
            type=Amount(positive=True),
            default=60.0,
            show_default=True,
            metavar="SECONDS",
            help="How long -O3 may measure.",
        ),
    ]
)

freeze_option: Decorator[Any] = click.option(
    "--freeze-inputs",
    is_flag=True,
    help="Make constants of initializers that callers could override.",
)

opset_option: Decorator[Any] = click.option(
    "--opset", type=click.IntRange(1), metavar="N", help="Convert to this opset first."
)

rewriting_options: Decorator[Any] = _all(
    [
        click.option(
            "-O",
            "level",
            type=click.Choice([0, 1, 2, 3]),
            default=2,
            show_default=True,
            help="Level: 0 reads and writes only; 1 exact rewrites; 2 also those that only change "
            "rounding; 3 what is measured as faster on the target (for generic the same as 2).",
        ),
        target_option,
        click.option(
            "--passes", metavar="PIPELINE", help="A pipeline that replaces the level's own."
        ),
        click.option(
            "--disable",
            multiple=True,
            metavar="NAME",
            help="A pass, group of rules or rule to leave out; repeatable.",
        ),
        click.option(
            "--input-shape",
            "input_shapes",
            multiple=True,
            type=InputShape(),
            metavar="NAME:1,3,224,224",
            help="A new shape for an input; repeatable. Dims are numbers or names.",
        ),
        click.option(
            "--dim",
            "dims",
            multiple=True,
            type=DimSize(),
            metavar="NAME=VALUE",
            help="A size for a symbolic dim; repeatable.",
        ),
        opset_option,
        freeze_option,
    ]
)


def by_name(given: dict[str, Any]) -> dict[str, Any]:
    """Turns the repeated ``--input-shape`` and ``--dim`` into mappings, in place.

    Raises:
        click.UsageError: One of them names the same thing twice.
    """
    given["input_shapes"] = unique(given["input_shapes"], "--input-shape")
    given["dims"] = unique(given["dims"], "--dim")
    given["providers"] = given["providers"] or None
    return given
