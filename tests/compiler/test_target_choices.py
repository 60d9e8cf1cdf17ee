"""The table of choices in a target's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxopt.errors import UsageError
from onnxopt.pipeline.registry import registry
from onnxopt.targets.load import load_target, target_names


def write(folder: Path, choices: str) -> str:
    path = folder / "mine.toml"
    path.write_text(f'summary = "Mine"\n[choices]\n{choices}\n')
    return str(path)


def test_a_list_is_one_alternative_and_a_list_of_lists_several(tmp_path: Path) -> None:
    found = load_target(write(tmp_path, 'a = ["x", "y"]\nb = [["x"], ["y", "z"]]')).choices
    assert found == {"a": (("x", "y"),), "b": (("x",), ("y", "z"))}


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ('a = "x"', r"choices\.a must be a list of names"),
        ("a = []", r"choices\.a has an alternative without names"),
        ('a = [["x"], []]', r"choices\.a has an alternative without names"),
        ('a = ["x", 3]', r"choices\.a must be a list of names"),
        ('a = [["x"], "y"]', r"choices\.a must be a list of names"),
    ],
)
def test_what_a_choice_cannot_be(tmp_path: Path, choices: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_target(write(tmp_path, choices))


@pytest.mark.parametrize("name", target_names())
def test_choices_of_targets_that_ship_name_what_exists(name: str) -> None:
    found = registry()
    known = {*found.passes, *found.rules, *found.groups}
    for alternatives in load_target(name).choices.values():
        assert {n for alternative in alternatives for n in alternative} <= known


def test_a_tentative_choice_must_be_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('summary = "Mine"\ntentative = ["b"]\n[choices]\na = ["y", "x"]\n')
    with pytest.raises(UsageError, match=r"tentative: no choice 'b'; there are: a$"):
        load_target(str(path))
    path.write_text(path.read_text().replace('"b"', '"a"'))
    assert load_target(str(path)).unmeasured == {"a": ("x", "y")}
