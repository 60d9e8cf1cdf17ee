"""The judge: the reference runs once, and no candidate twice on the same samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import numpy_helper

from onnxopt.compiler.options import Options
from onnxopt.io import load
from onnxopt.quantizing.judging import Judge
from onnxopt.quantizing.request import Samples
from onnxopt.runtime.quality import measuring
from onnxopt.runtime.quality.budget import Budget
from onnxopt.runtime.quality.figures import Figures, Quality
from onnxopt.runtime.quality.store import Store
from onnxopt.runtime.trace import input_specs

from .support import images, network, weights, write


@dataclass
class Measuring:
    """Stands for measuring: files are not run, so they need not be models.

    Attributes:
        total: How many samples there are.
        looks: The names of the files looked at, and on how many of 32 samples; 0 for all.
    """

    total: int = 40
    looks: list[tuple[list[str], int]] = field(default_factory=list)

    def __call__(
        self, _reference: Path, candidates: Sequence[Path], *_: object, **asked: Any
    ) -> list[Quality]:
        few, store = asked["few"], Store(asked["kept_in"])
        if store.count is None:
            store.keep([{}] * self.total, [])
        self.looks.append(([path.name for path in candidates], few))
        samples = max(few, self.total * few // asked["limit"]) if few else self.total
        figures = Figures(len(self.looks), 1.0, 1.0, None, 0.0)
        return [Quality(str(path), samples, overall=figures) for path in candidates]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measuring:
    found = Measuring()
    monkeypatch.setattr(measuring, "measure_quality", found)
    return found


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    folder = tmp_path / "kept"
    samples = Samples("samples.npz")
    budget = Budget.parse("snr=20")
    return Judge(tmp_path / "float.onnx", [], samples, budget, Options(), folder)


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., list[Path]]:
    def call(**contents: bytes) -> list[Path]:
        paths = [tmp_path / name for name in contents]
        for path, content in zip(paths, contents.values(), strict=True):
            path.write_bytes(content)
        return paths

    return call


def test_the_same_candidate_is_looked_at_once(
    judge: Judge, files: Callable[..., list[Path]], measured: Measuring
) -> None:
    paths = files(a=b"one", b=b"two", c=b"one")
    first = judge.look(paths)
    assert [Path(quality.model).name for quality in first] == ["a", "b", "c"]
    assert first[0].overall == first[2].overall
    assert measured.looks == [(["c", "b"], 0)]
    assert judge.look([paths[1], *files(d=b"one")])[1].overall == first[0].overall
    assert len(measured.looks) == 1


def test_a_glance_is_no_closer_look(
    judge: Judge, files: Callable[..., list[Path]], measured: Measuring
) -> None:
    (path,) = files(a=b"one")
    assert judge.look([path], few=True)[0].samples == 10
    assert judge.look([path])[0].samples == measured.total
    assert judge.look([path], few=True)[0].samples == 10
    assert measured.looks == [(["a"], 8), (["a"], 0)]


def test_where_all_samples_are_few_one_look_does(
    judge: Judge, files: Callable[..., list[Path]], measured: Measuring
) -> None:
    measured.total = 6
    (path,) = files(a=b"one")
    judge.look([path], few=True)
    judge.look([path])
    assert len(measured.looks) == 1


def test_figures_on_few_samples_are_those_of_the_first(tmp_path: Path) -> None:
    model = write(tmp_path, network())
    changed = network()
    rounded = weights(8, 8, 3, 3, seed=2).round(2)
    tensor = next(t for t in changed.graph.initializer if t.name == "w2")
    tensor.CopyFrom(numpy_helper.from_array(rounded, "w2"))
    other = write(tmp_path, changed, "other.onnx")
    images_of = images(12)
    np.savez(tmp_path / "all.npz", x=images_of)
    np.savez(tmp_path / "first.npz", x=images_of[:8])
    found = {}
    for name in ("all", "first"):
        samples = Samples(str(tmp_path / f"{name}.npz"))
        judge = Judge(
            model,
            input_specs(load(model)),
            samples,
            Budget.parse("snr=20"),
            Options(),
            tmp_path / name,
        )
        found[name] = judge.look([other], few=name == "all")[0]
    assert found["all"] == found["first"]
    assert found["all"].samples == 8
    assert found["all"].overall is not None
    assert 20 < found["all"].overall.snr_db < 60
