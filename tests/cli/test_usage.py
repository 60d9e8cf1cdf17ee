"""What is asked for wrongly gets one line and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Run, refusal, snapshot

WRONG = {
    "unknown option": ("--nosuch",),
    "unknown level": ("-O4",),
    "unknown target": ("--target", "toaster"),
    "unknown pass": ("--passes", "nosuch"),
    "pipeline that ends early": ("--passes", "simplify{"),
    "unknown pass option": ("--passes", "set-dim{colour=red}"),
    "unknown pass to disable": ("--disable", "nosuch"),
    "unknown provider": ("--provider", "nosuch"),
    "unknown pass to print after": ("--print-after", "nosuch"),
    "pass that does not run": ("-O0", "--print-after", "simplify"),
    "shape without name": ("--input-shape", "1,2"),
    "shape with a negative dim": ("--input-shape", "x:-1,4"),
    "shape with an empty dim": ("--input-shape", "x:1,,4"),
    "shape of another rank": ("--input-shape", "x:4"),
    "shape given twice": ("--input-shape", "x:1,4", "--input-shape", "x:2,4"),
    "shape of no input": ("--input-shape", "z:1,4"),
    "dim without value": ("--dim", "N"),
    "dim that is no number": ("--dim", "N=many"),
    "dim beyond 64 bits": ("--dim", f"N={2**64}"),
    "dim given twice": ("--dim", "N=1", "--dim", "N=2"),
    "unknown dim": ("--dim", "M=3"),
    "opset 0": ("--opset", "0"),
    "opset of the future": ("--opset", "999"),
    "tolerance that is not a number": ("--rtol", "nan"),
    "negative tolerance": ("--atol", "-1"),
    "no time": ("--timeout", "0"),
    "negative limit": ("--bisect-limit", "-1"),
    "samples that do not exist": ("--inputs", "nosuch.npz"),
    "operator library that does not exist": ("--custom-op-library", "nosuch.so"),
    "validation required and left out": ("--no-validate", "--require-validation"),
    "unknown way to store weights": ("--external-data", "sometimes"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_option(run: Run, folder: Path, good: Path, case: str) -> None:
    before = snapshot(folder)
    refusal(run("optimize", good, "-o", "out.onnx", *WRONG[case]), 2)
    assert snapshot(folder) == before


@pytest.mark.parametrize(
    "args", [("optimize", "good.onnx"), ("optimize",), ("compare", "good.onnx"), ("nosuch",)]
)
@pytest.mark.usefixtures("good")
def test_missing_argument(run: Run, args: tuple[str, ...]) -> None:
    refusal(run(*args), 2)


def test_a_usage_error_says_where_help_is(run: Run) -> None:
    line = refusal(run("optimize", "--nosuch"), 2)
    assert "`onnxopt optimize --help`" in line


def test_no_command_shows_the_help(run: Run) -> None:
    result = run()
    assert result.exit_code == 2
    assert "Commands:" in result.output


@pytest.mark.parametrize("command", ["optimize", "compare", "inspect", "passes", "bisect"])
def test_help(run: Run, command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "--debug" in result.stdout
    assert command in run("--help").stdout


def test_version(run: Run) -> None:
    from onnxopt import __version__

    assert run("--version").stdout.strip() == f"onnxopt {__version__}"
