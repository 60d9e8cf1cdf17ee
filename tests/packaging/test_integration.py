"""The GitHub Action and the pre-commit hook: their files say what they should, and what they run works here."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import onnx
import onnx.parser
import pytest

ROOT = Path(__file__).resolve().parents[2]
MODEL = '<ir_version: 8, opset_import: ["" : 17]> g (float[N] x) => (float[N] y) { z = Relu (x) y = Relu (z) }'
yaml = pytest.importorskip("yaml")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with a model, another with a space in its name, a budget, and `onnxopt` on the path."""
    for name in ("model.onnx", "other model.onnx"):
        onnx.save(onnx.parser.parse_model(MODEL), tmp_path / name)
    (tmp_path / "budget.toml").write_text("max_nodes = 2\n")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "onnxopt"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m onnxopt "$@"\n')
    program.chmod(0o755)
    return tmp_path


def called(command: list[str], folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    place = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": place, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def action() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
    return found


def acted(folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Runs the action's last step as GitHub does, with inputs or their defaults."""
    found = action()
    known = {
        name: str(entry.get("default", "")) for name, entry in found["inputs"].items()
    } | inputs
    step = found["runs"]["steps"][-1]
    env = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda m: known[m[1]], value)
        for name, value in step["env"].items()
    }
    script = folder / "step.sh"
    script.write_text(step["run"])
    places = {"RUNNER_TEMP": str(folder), "GITHUB_STEP_SUMMARY": str(folder / "summary.md")}
    bash = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
    return called(bash, folder, **env, **places)


def test_the_action_is_composite_and_takes_inputs_by_environment_alone() -> None:
    found = action()
    assert found["runs"]["using"] == "composite"
    assert {"name", "description", "inputs", "runs"} <= set(found)
    for step in found["runs"]["steps"]:
        assert "${{" not in step.get("run", ""), "an input could be taken for a command"
        assert "uses" in step or step["shell"] == "bash"
        for name in re.findall(r"inputs\.([\w-]+)", str(step)):
            assert name in found["inputs"]


def test_the_action_installs_itself_with_the_extra_asked_for(folder: Path) -> None:
    fake = folder / "bin" / "python"
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    fake.chmod(0o755)
    [step] = [s for s in action()["runs"]["steps"] if "pip" in s.get("run", "")]
    done = called(["bash", "-c", step["run"]], folder, EXTRA="cpu", SOURCE="/a b")
    assert done.stdout.splitlines() == ["-m", "pip", "install", "--quiet", "/a b[cpu]"]


def test_the_action_checks(folder: Path) -> None:
    done = acted(folder, model="model.onnx\nother model.onnx\n", args="--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"status": "passed"') == 5
    root = ElementTree.parse(folder / "onnxopt-check.xml").getroot()
    assert [suite.get("name") for suite in root] == ["model.onnx", "other model.onnx"]
    assert (folder / "summary.md").read_text().startswith("### model.onnx: passed")


def test_the_action_fails_where_the_budget_does_and_still_reports(folder: Path) -> None:
    (folder / "budget.toml").write_text("max_nodes = 1\nmax_bytes_ratio = 1.0\n")
    done = acted(folder, model="model.onnx", against="other model.onnx")
    assert done.returncode == 1, done.stderr
    assert "**failed**" in (folder / "summary.md").read_text()


def test_the_action_optimises(folder: Path) -> None:
    done = acted(
        folder, command="optimize", model="model.onnx", output="o.onnx", args="-O1\n--no-validate"
    )
    assert done.returncode == 0, done.stderr
    assert len(onnx.load(folder / "o.onnx").graph.node) == 1


def test_the_action_knows_no_other_command(folder: Path) -> None:
    done = acted(folder, command="rm", model="model.onnx")
    assert (done.returncode, done.stdout) == (
        2,
        "::error::command is rm; expected check or optimize\n",
    )


def test_the_hook_checks_staged_models(folder: Path) -> None:
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert (hook["id"], hook["language"]) == ("onnxopt-check", "python")
    staged = [path.name for path in sorted(folder.iterdir()) if re.search(hook["files"], path.name)]
    assert staged == ["model.onnx", "other model.onnx"]
    command = [*shlex.split(hook["entry"]), *hook["args"], *staged]
    assert called(command, folder).returncode == 0
    (folder / "budget.toml").write_text("max_nodes = 1\n")
    done = called(command, folder)
    assert (done.returncode, done.stdout.count("failed: max_nodes")) == (1, 2)
