"""Pipelines as text, the registry, and the manager."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import ClassVar

import onnx.parser
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxopt.errors import ModelError, UsageError
from onnxopt.pipeline.base import Context, Pass
from onnxopt.pipeline.bisect import first_bad
from onnxopt.pipeline.instruments import PrintAfter, VerifyEach
from onnxopt.pipeline.manager import Manager, Settings
from onnxopt.pipeline.parse import Call, Repeat, Step, parse, render
from onnxopt.pipeline.registry import Registry, installed, registry

TEXT = '<ir_version: 8, opset_import: ["" : 17]> g (float[3] x) => (float[3] y) { a = Relu(x) y = Neg(a) }'


def load() -> ir.Model:
    return ir.from_proto(onnx.parser.parse_model(TEXT))


@dataclass(frozen=True)
class Rename(Pass):
    """Renames the graph, so that one sees what ran.

    Attributes:
        suffix: What is appended.
        times: How often.
        quiet: Whether to claim that nothing changed.
    """

    name: ClassVar[str] = "rename"
    summary: ClassVar[str] = "Rename the graph."
    suffix: str = "a"
    times: int = 1
    quiet: bool = False

    def run(self, context: Context) -> int:
        context.model.graph.name = f"{context.model.graph.name}{self.suffix * self.times}"
        return 0 if self.quiet else 1


@dataclass(frozen=True)
class Explode(Pass):
    """Breaks the graph, then raises."""

    name: ClassVar[str] = "explode"
    summary: ClassVar[str] = "Raise."

    def run(self, context: Context) -> int:
        context.model.graph.name = "broken"
        raise RuntimeError("boom")


@dataclass(frozen=True)
class ExplodeLater(Pass):
    """Raises where the graph's name has grown long."""

    name: ClassVar[str] = "explode-later"
    summary: ClassVar[str] = "Raise in a later round."

    def run(self, context: Context) -> int:
        if len(context.model.graph.name or "") >= 4:
            raise RuntimeError("boom")
        return 0


@pytest.fixture
def found() -> Registry:
    classes: list[type[Pass]] = [Rename, Explode, ExplodeLater]
    mine = Registry(passes={cls.name: cls for cls in classes})
    mine.pipelines["twice"] = "rename{suffix=b}, rename{suffix=c}"
    return mine


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("a", (Call("a"),)),
        ("a, b-c", (Call("a"), Call("b-c"))),
        ("a{x=1,y=two}", (Call("a", {"x": "1", "y": "two"}),)),
        ('a{x="1,2,3"}', (Call("a", {"x": "1,2,3"}),)),
        ("(a, b)*", (Repeat((Call("a"), Call("b"))),)),
        ("(a)*3, b", (Repeat((Call("a"),), 3), Call("b"))),
        ("((a)*2, b)*", (Repeat((Repeat((Call("a"),), 2), Call("b"))),)),
    ],
)
def test_parse(text: str, expected: tuple[Step, ...]) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text", ["a,,b", "a{", "a{x}", "(a", "a)", "a b", "a{x=1 y=2}", "*", "a,", "é!"]
)
def test_parse_refuses(text: str) -> None:
    with pytest.raises(UsageError, match="pipeline"):
        parse(text)


def _steps() -> st.SearchStrategy[tuple[Step, ...]]:
    names = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
    values = st.text(
        st.characters(exclude_characters='"', codec="ascii", categories=("L", "N", "P")), min_size=1
    )
    calls = st.builds(
        Call, names, st.dictionaries(st.sampled_from(["x", "y_z"]), values, max_size=2)
    )
    steps = st.recursive(
        calls,
        lambda s: st.builds(
            Repeat, st.lists(s, min_size=1, max_size=3).map(tuple), st.integers(2, 9)
        ),
    )
    return st.lists(steps, min_size=1, max_size=4).map(tuple)


@given(_steps())
def test_render_is_the_inverse_of_parse(steps: tuple[Step, ...]) -> None:
    assert parse(render(steps)) == steps


def test_options_reach_the_pass(found: Registry) -> None:
    outcome = Manager(Settings(), found).run(load, "rename{suffix=z,times=3}, twice")
    assert outcome.model.graph.name == "gzzzbc"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("renam", "did you mean 'rename'"),
        ("rename{sufix=z}", "no option 'sufix'"),
        ("rename{times=many}", "takes a number"),
        ("rename{quiet=maybe}", "true or false"),
    ],
)
def test_unknown_names_and_options(found: Registry, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Manager(Settings(), found).run(load, text)


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Registry]:
    """Installs a package with passes of its own; returns the registry then."""

    def make(source: str) -> Registry:
        (tmp_path / "offered_passes.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "offered_passes", raising=False)
        entry = EntryPoint("mine", "offered_passes", "onnxopt.passes")
        monkeypatch.setattr(metadata, "entry_points", lambda **_: [entry])
        return installed.__wrapped__()

    return make


def test_package_of_its_own_adds_names(offer: Callable[[str], Registry]) -> None:
    found = offer("PIPELINES = {'mine': 'O1, fuse'}")
    assert found.pipelines["mine"] == "O1, fuse"
    assert found.pending == []
    assert set(found.rules) == set(registry().rules)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import no_such_module", "in 'offered_passes' cannot be imported .*no_such_module"),
        ("PIPELINES = {'O2': ''}", "'O2' of offered_passes exists already"),
        ("PIPELINES = {'fold-constants': ''}", "'fold-constants' of offered_passes exists"),
    ],
)
def test_package_of_its_own_that_does_not_fit(
    offer: Callable[[str], Registry], source: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        offer(source)


def test_pipeline_that_contains_itself(found: Registry) -> None:
    found.pipelines["loop"] = "rename, loop"
    with pytest.raises(UsageError, match="contains itself"):
        Manager(Settings(), found).run(load, "loop")


def test_disabled_passes_do_not_run(found: Registry) -> None:
    outcome = Manager(Settings(disabled=["rename"]), found).run(load, "rename, twice")
    assert outcome.model.graph.name == "g"


def test_repeat_stops_when_nothing_changes(found: Registry) -> None:
    outcome = Manager(Settings(), found).run(load, "(rename{quiet=true})*5")
    assert outcome.model.graph.name == "ga"
    outcome = Manager(Settings(), found).run(load, "(rename)*5")
    assert outcome.model.graph.name == "gaaaaa"


def test_pass_that_raises_is_rolled_back_and_reported(found: Registry) -> None:
    saved: list[tuple[str | None, str, str]] = []

    def reproduce(model: ir.Model, name: str, pipeline: str) -> str:
        saved.append((model.graph.name, name, pipeline))
        return "there"

    settings = Settings(reproduce=reproduce)
    outcome = Manager(settings, found).run(load, "rename{suffix=x}, explode, rename{suffix=y}")
    assert outcome.model.graph.name == "gxy"
    (failure,) = outcome.failures
    assert (failure.name, failure.message, failure.reproducer) == (
        "explode",
        "RuntimeError: boom",
        "there",
    )
    assert saved == [("gx", "explode", "explode, rename{suffix=y}")]


def test_reproducer_of_a_later_round_holds_the_model_of_that_round(found: Registry) -> None:
    saved: list[tuple[str | None, str]] = []
    printed: list[str] = []

    def reproduce(model: ir.Model, name: str, pipeline: str) -> None:  # noqa: ARG001
        saved.append((model.graph.name, pipeline))

    watchers = [PrintAfter(["rename"], printed.append)]
    settings = Settings(reproduce=reproduce, instruments=watchers)
    outcome = Manager(settings, found).run(load, "(rename, explode-later, rename{suffix=b})*3")
    assert outcome.model.graph.name == "gababab"
    assert saved == [("gaba", "explode-later, rename{suffix=b}")]
    assert [failure.reproducer for failure in outcome.failures] == [None]
    assert len(printed) == 3 + 6


def test_refusals_of_a_pass_are_not_swallowed() -> None:
    with pytest.raises(UsageError, match="no input has a dim called 'nope'"):
        Manager(Settings()).run(load, "set-dim{dim=nope,size=2}")


def test_print_after_and_verify_each(found: Registry) -> None:
    printed: list[str] = []
    seen: list[str | None] = []
    watchers = [
        PrintAfter(["rename"], printed.append),
        VerifyEach(lambda m: seen.append(m.graph.name)),
    ]
    Manager(Settings(instruments=watchers), found).run(load, "rename, rename{quiet=true}")
    assert len(printed) == 2
    assert "a = Relu (x)" in printed[0]
    assert seen == ["ga"]


def test_verifier_that_raises_blames_the_pass(found: Registry) -> None:
    def refuse(model: ir.Model) -> None:
        raise ModelError(f"{model.graph.name} is broken")

    with pytest.raises(ModelError, match="ga is broken"):
        Manager(Settings(instruments=[VerifyEach(refuse)]), found).run(load, "rename")


@given(st.integers(0, 300), st.integers(0, 300))
def test_first_bad_finds_the_first(total: int, bad: int) -> None:
    expected = None if bad > total else bad
    assert first_bad(total, lambda count: count < bad) == expected


def test_every_level_names_what_exists() -> None:
    for level in range(4):
        steps = registry().expand(f"O{level}")
        assert bool(steps) == (level > 0)


def test_level_one_holds_exact_rules_only() -> None:
    def calls(steps: tuple[Step, ...]) -> Iterator[Call]:
        for step in steps:
            if isinstance(step, Repeat):
                yield from calls(step.body)
            else:
                yield step

    for call in calls(registry().expand("O1")):
        assert registry().make(call).exact, call.name
