"""Statistics are gathered once: what a later model wants besides is added."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from onnxopt.compiler.options import Options
from onnxopt.io import load
from onnxopt.quantization.statistics import load as load_statistics
from onnxopt.quantization.wants import Wants
from onnxopt.quantizing.calibrating import Calibration
from onnxopt.quantizing.request import Request, Samples
from onnxopt.runtime.calibration import observe as observing

from .support import images, network, write

RANGE, HISTOGRAM, CHANNELS = Wants(), Wants(histogram=True), Wants(channels=1)


@pytest.fixture
def model(tmp_path: Path) -> ir.Model:
    np.savez(tmp_path / "x.npz", x=images(4))
    return load(write(tmp_path, network()))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Wants]]:
    """What was observed, run by run."""
    found: list[dict[str, Wants]] = []
    observe = observing.observe

    def noted(graph: Any, source: str, wants: Mapping[str, Wants], **more: Any) -> Any:
        found.append(dict(wants))
        return observe(graph, source, wants, **more)

    monkeypatch.setattr(observing, "observe", noted)
    return found


def calibration(tmp_path: Path, **more: Any) -> Calibration:
    request = Request(mode="static", calibration=Samples(str(tmp_path / "x.npz")), **more)
    return Calibration(request, Options())


def test_only_what_is_lacking_is_observed(
    model: ir.Model, tmp_path: Path, asked: list[dict[str, Wants]]
) -> None:
    gather = calibration(tmp_path, stats_out=str(tmp_path / "stats.json"))
    gather(model, {"x": RANGE, "r1": HISTOGRAM})
    found = gather(model, {"r1": RANGE, "c2": HISTOGRAM})
    assert asked[1:] == [{"c2": HISTOGRAM}]
    assert set(found.tensors) == {"x", "r1", "c2"}
    assert load_statistics(tmp_path / "stats.json").tensors.keys() == found.tensors.keys()
    assert gather(model, {"x": RANGE, "c2": RANGE}) is found
    assert len(asked) == 2
    whole = calibration(tmp_path)(model, {"x": RANGE, "r1": HISTOGRAM, "c2": HISTOGRAM})
    for name, tensor in whole.tensors.items():
        assert found.tensors[name].to_json() == tensor.to_json()
    assert found.samples == whole.samples


def test_what_more_is_wanted_of_a_value_comes_beside_what_was(
    model: ir.Model, tmp_path: Path, asked: list[dict[str, Wants]]
) -> None:
    gather = calibration(tmp_path)
    gather(model, {"r1": HISTOGRAM})
    found = gather(model, {"r1": CHANNELS})
    assert asked[1:] == [{"r1": HISTOGRAM | CHANNELS}]
    assert found.tensors["r1"].histogram is not None
    gather(model, {"r1": HISTOGRAM})
    gather(model, {"r1": CHANNELS})
    assert len(asked) == 2


def test_what_cannot_be_observed_is_asked_for_once(
    model: ir.Model, tmp_path: Path, asked: list[dict[str, Wants]]
) -> None:
    gather = calibration(tmp_path)
    gather(model, {"x": RANGE})
    for _ in range(2):
        assert "w2" not in gather(model, {"w2": RANGE, "x": RANGE}).tensors
    assert len(asked) == 2
