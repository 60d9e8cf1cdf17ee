"""The group of commands: loads them when they are needed, and turns every error into one line."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from .. import __version__
from .faults import INTERRUPTED, PIPE_CLOSED, describe

COMMANDS = (
    "optimize",
    "convert",
    "quantize",
    "compare",
    "check",
    "diff",
    "inspect",
    "passes",
    "targets",
    "bisect",
)
DEBUG = "onnxopt.debug"


class Program(click.Group):
    """A group whose commands each live in a module of their own.

    A command returns its exit status: None or 0 where all is well. Errors leave as one line on the
    standard error stream and an exit code of their own; with ``--debug`` a traceback comes first.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Names the commands, in the order of the help text."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Imports a command; these modules import nothing heavy before they run."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".{cmd_name}", __package__)
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command; gives the exit status of whatever it raises."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:
            return _nobody_reads()
        except Exception as error:
            debug = ctx.meta.get(DEBUG, False)
            if debug:
                traceback.print_exc()
            line, status = describe(error, hint=not debug)
            return _fail(line, status)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs the program; leaves the process with the exit status."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, **extra)
        _open_streams()
        _never_fail_on_encoding()
        try:
            status = super().main(args, prog_name, complete_var, False, **extra)
            sys.stdout.flush()
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            status = error.exit_code
        except click.UsageError as error:
            status = _fail(_usage(error), error.exit_code)
        except click.ClickException as error:
            status = _fail(error.format_message(), error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            status = _fail("interrupted", INTERRUPTED)
        except BrokenPipeError:
            status = _nobody_reads()
        except OSError as error:  # the help has no room on a full disk
            status = _fail(*describe(error))
        sys.exit(status)


def _nobody_reads() -> int:
    """Whoever read the output has seen enough; the interpreter must not complain at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE_CLOSED


def _open_streams() -> None:
    """Gives a process that was started without output streams some that lead nowhere."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for as long as the process lives
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def _never_fail_on_encoding() -> None:
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _usage(error: click.UsageError) -> str:
    message = error.format_message().rstrip(".")
    if error.ctx is None:
        return message
    return f"{message}; see `{error.ctx.command_path} --help`"


def _fail(line: str, status: int) -> int:
    from ..report.text import one_line

    click.echo(f"error: {one_line(line)}", err=True)
    return status


@click.command(
    cls=Program,
    name="onnxopt",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=(
        "Exit codes: 0 done; 1 the results do not match, the models differ, or a budget does not hold; 2 usage; 3 the model cannot be read, is "
        "invalid or cannot be written; 4 the runtime or a provider is missing."
    ),
)
@click.version_option(__version__, prog_name="onnxopt", message="%(prog)s %(version)s")
def program() -> None:
    """A graph-level compiler over ONNX models. Every result is verified on the runtime."""
