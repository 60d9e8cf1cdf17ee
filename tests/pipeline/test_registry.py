"""The registry imports what a pipeline names, and finds the same as if it had imported everything."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnxopt.passes
import pytest

from onnxopt.errors import UsageError
from onnxopt.pipeline.discovery import BUILTIN, builtin_parts
from onnxopt.pipeline.parse import Call
from onnxopt.pipeline.registry import Registry, registry
from onnxopt.pipeline.ruleset import RuleSet

ROOT = Path(__file__).parents[2]
PACKAGES = {info.name for info in pkgutil.iter_modules(onnxopt.passes.__path__) if info.ispkg}


def fresh() -> Registry:
    return Registry(pending=builtin_parts())


def imported(found: Registry) -> set[str]:
    """Names the packages that were imported."""
    return PACKAGES - {name.rpartition(".")[2] for name in found.pending}


@pytest.fixture
def package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[dict[str, str]], list[str]]:
    """Writes modules of a package; returns their full names, in order."""

    def make(sources: dict[str, str]) -> list[str]:
        folder = tmp_path / "parts_of_passes"
        folder.mkdir()
        for name, source in {"__init__": "", **sources}.items():
            (folder / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        names = [f"{folder.name}.{name}" for name in sources]
        for name in (folder.name, *names):
            monkeypatch.delitem(sys.modules, name, raising=False)
        return names

    return make


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("convert-precison", "did you mean 'convert-precision'"),
        ("simplfy", "did you mean 'simplify'"),
        ("xyzzy", "no pass or rule is called 'xyzzy'; `onnxopt passes` lists them"),
    ],
)
def test_unknown_name_is_looked_for_everywhere(text: str, message: str) -> None:
    found = fresh()
    with pytest.raises(UsageError, match=message):
        found.expand(text)
    assert found.pending == []


def test_unknown_disabled_name_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'set-dim'"):
        fresh().expand("O0", ["set-dims"])


def test_name_taken_twice_is_noticed_once_both_are_imported(
    package: Callable[[dict[str, str]], list[str]],
) -> None:
    found = Registry(
        pending=package({"a": "PIPELINES = {'mine': ''}", "b": "PIPELINES = {'mine': ''}"})
    )
    assert found.expand("mine") == ()
    with pytest.raises(UsageError, match=r"'mine' of parts_of_passes\.b exists already"):
        found.load()


def test_part_that_cannot_be_imported_fails_each_time(
    package: Callable[[dict[str, str]], list[str]],
) -> None:
    found = Registry(pending=package({"broken": "PIPELINES = {'mine': ''}\nimport no_such_module"}))
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="no_such_module"):
            found.expand("mine")
    assert found.pipelines == {}


def test_threads_wait_for_a_part_that_another_imports(
    package: Callable[[dict[str, str]], list[str]],
) -> None:
    source = "import time\ntime.sleep(0.05)\nPIPELINES = {'mine': 'other', 'other': ''}"
    found = Registry(pending=package({"slow": source}))
    together = threading.Barrier(4)

    def expand(_: int) -> tuple[object, ...]:
        together.wait()
        return found.expand("mine")

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(expand, range(4))) == [()] * 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", set()),
        ("O0", set()),
        ("lower", {"lower"}),
        ("simplify", {"simplify"}),
        ("(fuse{exact-only=true}, simplify)*2", {"fuse", "simplify"}),
        ("remove-dead-nodes", {"attention", "clean"}),
        ("O1", {"attention", "clean", "fold", "simplify"}),
        ("O2", {"attention", "clean", "fold", "fuse", "reorder", "simplify"}),
    ],
)
def test_packages_that_a_pipeline_imports(text: str, expected: set[str]) -> None:
    found = fresh()
    found.expand(text)
    assert imported(found) == expected


def test_disabled_names_are_found_as_steps_are() -> None:
    found = fresh()
    assert found.expand("lower, simplify", ["lower"]) == (Call("simplify"),)
    assert imported(found) == {"lower", "simplify"}


def test_group_is_known_before_it_is_imported() -> None:
    assert fresh().is_group("lower")
    assert not fresh().is_group("remove-dead-nodes")


def test_everything_is_what_walking_the_package_gives() -> None:
    walked = Registry()
    walked.add_module(onnxopt.passes)
    for info in pkgutil.walk_packages(onnxopt.passes.__path__, f"{BUILTIN}."):
        walked.add_module(sys.modules[info.name])
    found = fresh()
    found.load()
    assert found == walked
    assert found.groups.keys() == walked.summaries.keys()
    assert len(found.rules) > 100


def test_each_name_alone_gives_what_it_gives_beside_all_others() -> None:
    whole = fresh()
    whole.load()
    for name in whole.passes:
        assert type(fresh().make(Call(name))) is whole.passes[name]
    for name in (*whole.groups, *whole.rules):
        alone, beside = fresh().make(Call(name)), whole.make(Call(name))
        assert isinstance(alone, RuleSet)
        assert isinstance(beside, RuleSet)
        assert (alone.rules, alone.summary) == (beside.rules, beside.summary), name


def test_no_group_shares_its_name_with_anything_else() -> None:
    """Which of the two a pipeline gets would depend on what was imported first."""
    whole = registry()
    others = whole.passes.keys() | whole.rules.keys() | whole.pipelines.keys()
    assert not whole.groups.keys() & others


def test_optimising_imports_no_more_than_the_pipeline(tmp_path: Path) -> None:
    code = (
        "import sys; from onnxopt.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "print(*{n.split('.')[2] for n in sys.modules if n.startswith('onnxopt.passes.')})"
    )
    model = str(ROOT / "models" / "digits_cnn.onnx")
    args = ["optimize", model, "-o", str(tmp_path / "out.onnx"), "--no-validate"]
    done = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, check=True
    )
    names = set(done.stdout.splitlines()[-1].split())
    assert "simplify" in names
    assert names.isdisjoint({"interface", "precision"})
