"""Runs the command line in this process, and keeps an eye on the folder it works in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import click.testing
import pytest

from onnxopt.cli import program

from .samples import write_good

Run = Callable[..., click.testing.Result]


@pytest.fixture
def run() -> Run:
    """Runs ``onnxopt`` with arguments and returns exit code, output and errors."""

    def call(*args: str | Path) -> click.testing.Result:
        runner = click.testing.CliRunner()
        return runner.invoke(program, [str(arg) for arg in args], prog_name="onnxopt")

    return call


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of its own below the test's."""
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def good(folder: Path) -> Path:
    """A model that can be optimised."""
    return write_good(folder / "good.onnx")


def snapshot(folder: Path) -> dict[str, str]:
    """Returns every file below a folder with the digest of what is in it."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def refusal(result: click.testing.Result, code: int) -> str:
    """Checks that a command was refused with one line and returns the line."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    assert "Traceback" not in result.output
    return lines[0]
