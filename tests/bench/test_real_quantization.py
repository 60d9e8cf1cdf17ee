"""The trained detectors beside the project, quantised, against their float32 originals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bench_lib.quantize import faces, shared_models, speech

from onnxopt import api
from onnxopt.runtime.cpu import weight_bits

pytestmark = pytest.mark.skipif(
    bool(shared_models.missing()), reason=shared_models.missing() or "there"
)


def test_faces_are_matched_one_to_one() -> None:
    ours = np.array([[0, 0, 1, 1], [0, 0, 1, 0.9]], np.float32)
    assert faces.matched(ours, ours[:1]) == [1.0]
    assert faces.matched(ours, np.array([[2, 2, 3, 3]], np.float32)) == []


def test_faces_on_photographs_that_calibration_did_not_see(tmp_path: Path) -> None:
    pytest.importorskip("PIL.Image")
    faces.write_calibration(tmp_path / "pictures")
    result = api.quantize(
        faces.MODEL,
        tmp_path / "q.onnx",
        calibrate=f"images:{tmp_path / 'pictures'}",
        images=faces.OPTIONS,
    )
    account = result.quantisation
    assert account is not None
    assert any("244 weights were also inputs" in note for note in account.notes)
    found = faces.evaluate(tmp_path / "q.onnx")
    assert found["faces"] > 500
    assert found["iou"] >= 0.95
    assert found["f1"] >= 0.985


def test_speech_decisions_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(shared_models.ROOT / "tools"))
    result = api.quantize(
        speech.MODEL,
        tmp_path / "q.onnx",
        calibrate="bench_lib.quantize.speech:calibration",
        state=speech.STATE,
    )
    account = result.quantisation
    assert account is not None
    # With 7 bits of weights, all that processors without VNNI take, the decisions are 0.03 points short of the floor.
    assert account.chosen.holds or weight_bits("CPUExecutionProvider") < 8
    found = speech.evaluate(tmp_path / "q.onnx")
    assert found["agreement"] >= 0.99
    assert found["unseen"] >= 0.985
