"""Bad input gets one line that names the file and the cause, and leaves everything as it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .conftest import Run, refusal, snapshot
from .samples import BAD, write_good


@pytest.mark.parametrize("kind", BAD)
def test_bad_model_is_refused(run: Run, folder: Path, kind: str) -> None:
    make, word = BAD[kind]
    make(folder / "bad.onnx")
    before = snapshot(folder.parent)
    line = refusal(run("optimize", "bad.onnx", "-o", "out.onnx"), 3)
    assert "bad.onnx" in line
    assert word in line
    assert snapshot(folder.parent) == before


@pytest.mark.parametrize("kind", ["empty", "truncated", "cyclic", "no-weights", "absent"])
@pytest.mark.usefixtures("good")
def test_other_commands_refuse_it_too(run: Run, folder: Path, kind: str) -> None:
    BAD[kind][0](folder / "bad.onnx")
    for args in (
        ["inspect", "bad.onnx"],
        ["bisect", "bad.onnx"],
        ["compare", "bad.onnx", "good.onnx"],
        ["compare", "good.onnx", "bad.onnx"],
    ):
        assert "bad.onnx" in refusal(run(*args), 3)


def test_output_in_a_folder_that_does_not_exist(run: Run, good: Path) -> None:
    line = refusal(run("optimize", good, "-o", "nowhere/out.onnx"), 3)
    assert "nowhere/out.onnx" in line
    assert "does not exist" in line


def test_output_that_is_a_directory(run: Run, folder: Path, good: Path) -> None:
    (folder / "out.onnx").mkdir()
    assert "is a directory" in refusal(run("optimize", good, "-o", "out.onnx"), 3)


def test_output_that_is_a_pipe(run: Run, folder: Path, good: Path) -> None:
    os.mkfifo(folder / "pipe")
    assert "not a regular file" in refusal(run("optimize", good, "-o", "pipe"), 3)
    assert (folder / "pipe").is_fifo()


@pytest.mark.parametrize("link", ["same", "symbolic", "hard", "other-spelling"])
def test_output_that_is_the_input(run: Run, folder: Path, good: Path, link: str) -> None:
    out = Path("out.onnx")
    if link == "symbolic":
        out.symlink_to(good)
    elif link == "hard":
        out.hardlink_to(good)
    else:
        out = good if link == "same" else Path("../work/good.onnx")
    before = snapshot(folder)
    assert "input" in refusal(run("optimize", good, "-o", out), 3)
    assert snapshot(folder) == before


def test_output_whose_weights_would_overwrite_the_input_s(
    run: Run, folder: Path, good: Path
) -> None:
    good.rename(folder / "out.onnx.data")
    before = snapshot(folder)
    args = ("--external-data", "always")
    assert "input" in refusal(run("optimize", "out.onnx.data", "-o", "out.onnx", *args), 3)
    assert snapshot(folder) == before


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system nobody may write")
def test_output_where_nobody_may_write(run: Run, good: Path) -> None:
    assert "cannot write /proc/out.onnx" in refusal(
        run("optimize", good, "-o", "/proc/out.onnx"), 3
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_output_in_a_folder_that_is_not_writable(run: Run, folder: Path, good: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o500)
    assert "closed" in refusal(run("optimize", good, "-o", "closed/out.onnx"), 3)


def test_report_that_would_overwrite_the_model_or_the_output(
    run: Run, folder: Path, good: Path
) -> None:
    for report in (good, Path("out.onnx"), Path("nowhere/report.json"), folder):
        before = snapshot(folder)
        refusal(run("optimize", good, "-o", "out.onnx", "--report", report), 3)
        assert snapshot(folder) == before


def test_names_in_errors_cannot_control_the_terminal(run: Run, folder: Path) -> None:
    write_good(folder / "a\x1b[31m\n.onnx").write_bytes(b"")
    line = refusal(run("inspect", "a\x1b[31m\n.onnx"), 3)
    assert "\x1b" not in line
    assert "\\x1b" in line
