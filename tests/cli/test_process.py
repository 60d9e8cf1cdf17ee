"""The command line as a process: start-up, signals, terminals, full disks, missing packages."""

from __future__ import annotations

import json
import os
import pty
import resource
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import onnx
import pytest

from .conftest import snapshot
from .samples import model_with_weight, signed, write_good

COMMAND = [sys.executable, "-m", "onnxopt"]
# Numpy and a runtime may round this differently, so that folding it needs the runtime.
NEEDS_A_RUNTIME = """<ir_version: 8, opset_import: ["" : 17]>
g (float[4] x) => (float[4] y) {
  c = Constant<value_floats = [-1.5, 0.25, 2.0, 30.0]> ()
  d = Tanh(c)
  e = Identity(d)
  y = Mul(x, e)
}"""
HEAVY = {"numpy", "onnx", "onnx_ir", "onnxruntime", "rich", "google.protobuf", "ml_dtypes", "torch"}


def onnxopt(*args: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [*COMMAND, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


def shadow(folder: Path, *modules: str) -> dict[str, str]:
    """An environment in which some modules are not installed."""
    lines = ["import sys", *(f"sys.modules[{name!r}] = None" for name in modules)]
    lines += ["import importlib.util as u", "find = u.find_spec", f"gone = {set(modules)!r}"]
    lines += [
        "u.find_spec = lambda name, package=None: None if name in gone else find(name, package)"
    ]
    (folder / "sitecustomize.py").write_text("\n".join(lines))
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.mark.parametrize(
    "args", [["--help"], ["optimize", "--help"], ["--version"], ["bisect", "--help"], ["nosuch"]]
)
def test_help_imports_nothing_heavy(args: list[str]) -> None:
    code = (
        "import sys\nfrom onnxopt.cli import program\n"
        f"try: program.main({args!r}, prog_name='onnxopt')\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.splitlines())
    assert "onnxopt.cli" in loaded
    assert loaded & HEAVY == set()


def test_optimising_without_validation_does_not_import_the_runtime_or_torch(
    good: Path, tmp_path: Path
) -> None:
    code = (
        "import sys\nfrom onnxopt.cli import program\n"
        f"args = ['optimize', {str(good)!r}, '-o', 'out.onnx', '--no-validate', '-O0']\n"
        "try: program.main(args, prog_name='onnxopt')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert {"onnxruntime", "torch", "sympy.core"} & set(done.stderr.splitlines()) == set()


def test_missing_runtime(folder: Path, good: Path, tmp_path: Path) -> None:
    env = shadow(tmp_path, "onnxruntime")
    before = snapshot(folder)
    commands: list[list[str | Path]] = [
        ["optimize", good, "-o", "out.onnx"],
        ["compare", good, good],
        ["bisect", good],
    ]
    for args in commands:
        done = onnxopt(*args, env=env)
        assert done.returncode == 4, done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert "onnxopt[cpu]" in done.stderr
        assert "onnxopt[cuda]" in done.stderr
        assert snapshot(folder) == before


def test_without_a_runtime_models_can_be_optimised_unvalidated(good: Path, tmp_path: Path) -> None:
    env = shadow(tmp_path, "onnxruntime", "onnxsim")
    rounds = write_good(good.with_name("rounds.onnx"), NEEDS_A_RUNTIME)
    for model, missing in ((good, False), (rounds, True)):
        args = ("--no-validate", "--json", "--passes", "O2, onnxsim")
        done = onnxopt("optimize", model, "-o", "out.onnx", *args, env=env)
        assert done.returncode == 0, done.stderr
        data = json.loads(done.stdout)
        assert data["after"]["nodes"] < data["before"]["nodes"]
        notes = " ".join(data["rules"]["notes"])
        assert ("onnxopt[cpu]" in notes) == missing
        assert "onnxsim is not installed" in notes
    assert onnxopt("inspect", good, env=env).returncode == 0


def test_full_disk(folder: Path) -> None:
    weight = onnx.numpy_helper.from_array(signed(40_000, 2, 4), "w")
    (folder / "big.onnx").write_bytes(model_with_weight(weight))
    before = snapshot(folder)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    for args in ([], ["--external-data", "always"]):
        done = onnxopt("optimize", "big.onnx", "-o", "out.onnx", *args, preexec_fn=limit)
        assert done.returncode == 3, done.stderr
        [line] = done.stderr.splitlines()
        assert line.startswith("error: ")
        assert "out.onnx" in line
        assert "too large" in line.lower()
        assert snapshot(folder) == before
        assert sorted(p.name for p in folder.iterdir()) == ["big.onnx"]


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_work_leaves_nothing_behind(
    folder: Path, good: Path, number: signal.Signals, code: int
) -> None:
    """The runtime is made to hang, so that the signal comes while a candidate lies on the disk."""
    child = folder.parent / "sitecustomize.py"
    child.write_text(
        "import sys, time\nif 'onnxopt.runtime' in ' '.join(sys.orig_argv): time.sleep(60)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(child.parent)}
    process = subprocess.Popen(
        [*COMMAND, "optimize", str(good), "-o", "out.onnx"],
        env=env,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(folder.glob(".out.onnx.*/out.onnx")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(0.5)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert sorted(p.name for p in folder.iterdir()) == ["good.onnx"]


@pytest.mark.parametrize("args", [["passes"], ["passes", "--json"]])
def test_reader_that_has_gone(args: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*COMMAND, *args], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert done.stderr == ""
    assert done.returncode == 141


@pytest.mark.parametrize("args", [["--help"], ["passes"], ["passes", "--json"]])
def test_no_room_for_the_report(args: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, *args], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (3, "error: No space left on device\n")


def test_no_output_stream_at_all(good: Path) -> None:
    command = f"{sys.executable} -m onnxopt optimize {good} -o out.onnx --no-validate >&-"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    onnx.checker.check_model(onnx.load("out.onnx"))


def on_a_terminal(args: list[str], **env: str) -> tuple[str, int]:
    """Runs the command on a pseudo-terminal 100 columns wide; returns what it shows and its exit code."""
    master, slave = pty.openpty()
    variables = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **env}
    if "NO_COLOR" not in env:
        variables.pop("NO_COLOR", None)
    process = subprocess.Popen([*COMMAND, *args], stdout=slave, stderr=slave, env=variables)
    os.close(slave)
    shown = b""
    while process.poll() is None or select.select([master], [], [], 0.1)[0]:
        if select.select([master], [], [], 0.1)[0]:
            try:
                shown += os.read(master, 1 << 16)
            except OSError:
                break
    os.close(master)
    return shown.decode(), process.wait(timeout=60)


def test_colour_only_on_a_terminal_that_wants_it(good: Path) -> None:
    args = ["optimize", str(good), "-o", "out.onnx", "--no-validate"]
    shown, code = on_a_terminal(args)
    assert code == 0
    assert "\x1b[33m" in shown
    plain, code = on_a_terminal(args, NO_COLOR="1")
    assert code == 0
    assert "\x1b[33m" not in plain
    piped = onnxopt(*args, env={**os.environ, "FORCE_COLOR": "1", "TERM": "xterm-256color"})
    assert "\x1b" not in piped.stdout + piped.stderr


def test_output_that_the_stream_cannot_encode(good: Path) -> None:
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = onnxopt("optimize", good, "-o", "out.onnx", "--no-validate", env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert "nodes" in done.stdout


def test_installed_command_is_the_module() -> None:
    script = Path(sys.executable).with_name("onnxopt")
    if not script.exists():
        pytest.skip("onnxopt is not installed beside this interpreter")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == onnxopt("--version").stdout
