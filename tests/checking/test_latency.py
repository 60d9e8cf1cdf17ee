"""The latency ratio, with a stopwatch that tells what it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

import onnxopt
from onnxopt.checking.verdict import Verdict
from onnxopt.compiler.race import MAX_ROUNDS, MIN_ROUNDS
from onnxopt.runtime.stopwatch import CannotTime, Round
from onnxopt.runtime.timing_job import Lap

from . import models


class Told:
    """Stands for the stopwatch: the second model takes `ratios` times as long, round by round, the last ever after."""

    ratios: ClassVar[list[float]] = [1.0]
    broken: ClassVar[int | None] = None
    asked: ClassVar[list[tuple[str, str]]] = []

    def __init__(self, provider: str, libraries: list[str], timeout_s: float) -> None:
        assert (provider, libraries, timeout_s) == ("CPUExecutionProvider", [], 600.0)

    def __enter__(self) -> Told:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def pick_sample(self, original: Path, feeds: Any) -> dict[str, Any]:
        assert original.name == "model.onnx"
        return {"x": list(feeds[0]["x"].shape)}

    def round(self, first: Path, second: Path) -> Round:
        if self.broken is not None:
            raise CannotTime("it crashed", self.broken)
        ratio = self.ratios[min(len(self.asked), len(self.ratios) - 1)]
        self.asked.append((first.name, second.name))
        return Lap(0.010, 0.009, 20), Lap(0.010 * ratio, 0.009 * ratio, 20)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> type[Told]:
    """The stopwatch, with nothing told yet."""
    monkeypatch.setattr("onnxopt.runtime.stopwatch.Stopwatch", Told)
    monkeypatch.setattr(Told, "asked", [])
    monkeypatch.setattr(Told, "broken", None)
    return Told


def judged(folder: Path, limit: float) -> Verdict:
    build = models.write(folder / "build.onnx", models.BUILD)
    model = models.write(folder / "model.onnx", models.CLASSIFIER)
    [found] = onnxopt.check(build, {"max_latency_ratio": limit}, against=model).verdicts
    return found


def test_a_build_within_the_limit(tmp_path: Path, told: type[Told]) -> None:
    told.ratios = [0.5]
    found = judged(tmp_path, 0.8)
    assert found.status == "passed"
    assert found.value == pytest.approx(0.5)
    assert found.detail.startswith("5 ms over 10 ms, median of 5 rounds")
    assert told.asked == [("model.onnx", "build.onnx")] * MIN_ROUNDS


def test_a_build_above_the_limit(tmp_path: Path, told: type[Told]) -> None:
    told.ratios = [1.3]
    found = judged(tmp_path, 1.1)
    assert found.status == "failed"
    assert found.value == pytest.approx(1.3)


def test_rounds_go_on_near_the_limit_and_the_median_decides(
    tmp_path: Path, told: type[Told]
) -> None:
    told.ratios = [1.4, 0.6, 1.4, 0.6, 0.99]
    found = judged(tmp_path, 1.0)
    assert len(told.asked) == MAX_ROUNDS
    assert found.status == "passed"
    assert found.value == pytest.approx(0.99)


@pytest.mark.parametrize(("broken", "who"), [(0, "the other model"), (1, "the build")])
def test_a_model_that_does_not_run_fails_with_its_reason(
    tmp_path: Path, told: type[Told], monkeypatch: pytest.MonkeyPatch, broken: int, who: str
) -> None:
    monkeypatch.setattr(told, "broken", broken)
    found = judged(tmp_path, 1.0)
    assert (found.status, found.value) == ("failed", None)
    assert found.detail == f"cannot be measured: {who}: it crashed"


def test_the_stopwatch_itself_gives_a_ratio(tmp_path: Path) -> None:
    found = judged(tmp_path, 1e6)
    assert found.status == "passed"
    assert isinstance(found.value, float)
