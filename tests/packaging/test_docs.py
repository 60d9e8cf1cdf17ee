"""What the documentation says is so: its commands have the options it names, its examples run."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import click
import onnx
import pytest

from onnxopt.checking.budget import read_budget
from onnxopt.checking.keys import KEYS
from onnxopt.cli import program
from onnxopt.cli.program import COMMANDS
from onnxopt.pipeline.registry import registry

from ..golden import harness

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
# Options of other programs that the pages mention.
FOREIGN = {"--check", "--strict"}


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.M | re.S)


def known_options() -> set[str]:
    context = click.Context(program)
    commands = [program, *(program.get_command(context, name) for name in COMMANDS)]
    found = {"--help"}
    for command in commands:
        assert command is not None
        for parameter in command.params:
            found.update(parameter.opts)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_options_that_a_page_names_exist(page: Path) -> None:
    if page.name == "benchmarks.md":
        pytest.skip("names the options of tools/bench.py")
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page.read_text()))
    assert named - known_options() - FOREIGN == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_readme_names_every_option_of_optimize() -> None:
    text = (ROOT / "README.md").read_text()
    command = program.get_command(click.Context(program), "optimize")
    assert command is not None
    options = {o for p in command.params if isinstance(p, click.Option) for o in p.opts}
    assert [o for o in options - {"--output", "-O", "--debug"} if o not in text] == []


def test_pipelines_in_the_pages_are_valid() -> None:
    for page in PAGES:
        for text in re.findall(r"--passes '([^']+)'", page.read_text()):
            assert registry().expand(text), text


def test_example_of_a_rule_does_what_its_example_of_a_test_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = ROOT / "docs" / "passes.md"
    module = types.ModuleType("onnxopt.passes.simplify.example")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(blocks(page, "python")[0], module.__dict__)
    found = module.sin_of_neg
    monkeypatch.setitem(registry().rules, found.name, found)
    [text] = [block for block in blocks(page, "") if block.startswith("== ")]
    path = tmp_path / "sin-of-neg.txt"
    path.write_text(text)
    cases = harness.read_cases(path)
    assert [case.name for case in cases] == ["half precision", "any other"]
    for case in cases:
        before = harness.build_model(case)
        after, context = harness.optimise(case, before)
        onnx.checker.check_model(after)
        if case.after is None:
            assert [
                r for reasons in context.stats.declined.values() for r in reasons
            ] == case.declines
        else:
            assert [line.strip() for line in harness.listing(after, before)] == case.after


def test_example_of_a_pass_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("onnxopt.passes.simplify.example")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(blocks(ROOT / "docs" / "passes.md", "python")[1], module.__dict__)
    monkeypatch.setitem(registry().passes, "rename-graph", module.Rename)
    import onnxopt

    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[N] x) => (float[N] y) { y = Relu(x) }'
    )
    result = onnxopt.optimize(model, passes='rename-graph{to="other"}', validate=False)
    assert result.model.graph.name == "other"


def test_example_of_a_budget_has_every_key(tmp_path: Path) -> None:
    [text] = blocks(ROOT / "docs" / "check.md", "toml")
    (tmp_path / "budget.toml").write_text(text)
    (tmp_path / "samples.npz").touch()
    assert list(read_budget(tmp_path / "budget.toml").limits) == list(KEYS)


def test_example_of_a_workflow_gives_the_action_what_it_takes() -> None:
    yaml = pytest.importorskip("yaml")
    workflow, hooks = (yaml.safe_load(text) for text in blocks(ROOT / "docs" / "ci.md", "yaml"))
    takes = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    steps = [s for s in workflow["jobs"]["build"]["steps"] if s["uses"].startswith("OWNER/")]
    assert [step["with"]["command"] for step in steps] == ["optimize", "check"]
    for step in steps:
        assert set(step["with"]) <= set(takes)
    known = {hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    assert {hook["id"] for repo in hooks["repos"] for hook in repo["hooks"]} <= known
    page = (ROOT / "docs" / "ci.md").read_text()
    assert [name for name in takes if f"`{name}`" not in page] == []
