"""``onnxopt check``: exit codes, files for continuous integration, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from .conftest import Run, refusal
from .samples import GOOD, signed, write_good


@pytest.fixture
def budget(folder: Path) -> Path:
    """A budget that the model keeps to."""
    path = folder / "budget.toml"
    path.write_text('max_nodes = 6\nmax_opset = 17\nallowed_domains = ["ai.onnx"]\n')
    return path


def test_a_build_within_its_budget(run: Run, good: Path, budget: Path) -> None:
    result = run("check", good, "--budget", budget)
    assert result.exit_code == 0, result.output
    assert "good.onnxpassed" in "".join(result.stdout.split())  # long paths are wrapped


def test_a_build_beyond_its_budget(run: Run, folder: Path, good: Path, budget: Path) -> None:
    budget.write_text("max_nodes = 2\nmax_opset = 17\nmax_bytes = 10\n")
    files = ("--junit", "check.xml", "--markdown", "check.md")
    result = run("check", good, "--budget", budget, *files)
    assert result.exit_code == 1, result.output
    assert result.stdout.splitlines()[-1] == "failed: max_bytes, max_nodes"
    assert result.stderr == ""
    cases = ElementTree.parse(folder / "check.xml").getroot().iter("testcase")
    failed = [case.get("name") for case in cases if case.find("failure") is not None]
    assert failed == ["max_bytes", "max_nodes"]
    assert (folder / "check.md").read_text().count("**failed**") == 2


def test_json_and_nothing_else(run: Run, folder: Path, good: Path) -> None:
    budget = folder / "budget.toml"
    budget.write_text('validation = "passed"\nmin_cosine = 0.9\n')
    args = ("--against", good, "--budget", budget, "--provider", "cpu", "--json")
    result = run("check", good, *args)
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert data["status"] == "passed"
    [model] = data["models"]
    assert (model["model"], model["against"]) == (str(good), str(good))
    assert [v["key"] for v in model["verdicts"]] == ["validation", "min_cosine"]
    assert [v["line"] for v in model["verdicts"]] == [1, 2]


def test_several_builds_and_one_that_fails(
    run: Run, folder: Path, good: Path, budget: Path
) -> None:
    write_good(folder / "old.onnx", GOOD.replace(": 17", ": 18"))
    result = run("check", good, "old.onnx", "--budget", budget, "--json")
    assert result.exit_code == 1
    models = json.loads(result.stdout)["models"]
    assert [(m["status"], m["failed"]) for m in models] == [
        ("passed", []),
        ("failed", ["max_opset"]),
    ]


def test_samples_beside_the_budget_are_run(run: Run, folder: Path, good: Path) -> None:
    """The models differ where values are large, which only these samples have."""
    write_good(folder / "other.onnx", GOOD.replace("Tanh", "Sin"))
    (folder / "ci").mkdir()
    np.savez(folder / "ci" / "small.npz", x=1e-4 * signed(5, 4))
    np.savez(folder / "large.npz", x=3 + signed(5, 4))
    budget = folder / "ci" / "budget.toml"
    budget.write_text("min_cosine = 0.9999\n[samples]\ninputs = ['small.npz']\n")
    args = ("check", "other.onnx", "--against", good, "--budget", budget, "--provider", "cpu")
    assert run(*args).exit_code == 0
    assert run(*args, "--inputs", "large.npz").exit_code == 1


def test_a_bad_budget_is_one_line(run: Run, good: Path, budget: Path) -> None:
    budget.write_text("max_nodes = 6\nmax_bytes = '5 MB'\n")
    line = refusal(run("check", good, "--budget", budget), 2)
    assert line == f"error: {budget}:2: max_bytes: expected a whole number, 0 or above, not '5 MB'"


def test_a_key_that_compares_needs_a_model(run: Run, good: Path, budget: Path) -> None:
    budget.write_text("max_latency_ratio = 1.0\n")
    assert "--against" in refusal(run("check", good, "--budget", budget), 2)


def test_samples_that_do_not_fit_are_refused(run: Run, folder: Path, good: Path) -> None:
    (folder / "b.toml").write_text("min_cosine = 0.5")
    np.savez(folder / "in.npz", z=signed(5, 4))
    args = ("--against", good, "--budget", "b.toml", "--inputs", "in.npz")
    assert "no input 'z'" in refusal(run("check", good, *args), 2)


def test_models_that_cannot_be_read_are_errors(run: Run, good: Path, folder: Path) -> None:
    (folder / "b.toml").write_text("max_nodes = 9")
    refusal(run("check", "no.onnx", "--budget", "b.toml", "--against", good), 3)
    refusal(run("check", good, "--budget", "b.toml", "--against", "no.onnx"), 3)


def test_reports_that_cannot_be_written_are_errors(run: Run, good: Path, budget: Path) -> None:
    assert "no/x.xml" in refusal(run("check", good, "--budget", budget, "--junit", "no/x.xml"), 3)


def test_no_build_is_refused(run: Run, budget: Path) -> None:
    refusal(run("check", "--budget", budget), 2)
