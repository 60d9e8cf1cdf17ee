"""Trained and reference models in a shorter type: half the size, and the results stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import models
import onnxopt

from .recordings import Feed, face_feeds, noise_feeds, require, style_feeds, vad_feeds


def _converted(name: str, feeds: list[Feed], folder: Path, **options: Any) -> onnxopt.Result:
    result = onnxopt.convert(require(name), folder / "out.onnx", feeds=feeds, **options)
    assert result.validation is not None
    assert result.validation.passed, result.validation.reason
    return result


def test_voice_detector(tmp_path: Path) -> None:
    result = _converted("silero_vad.onnx", vad_feeds(3), tmp_path)
    assert result.after.bytes < 0.6 * result.before.bytes
    assert result.after.ops["Cast"] <= 12


def test_face_detector(tmp_path: Path) -> None:
    result = _converted("ultraface_rfb_320.onnx", face_feeds(), tmp_path, freeze_inputs=True)
    assert result.after.bytes < 0.6 * result.before.bytes


def test_noise_suppressor(tmp_path: Path) -> None:
    result = _converted("dtln_1.onnx", noise_feeds(3), tmp_path)
    assert result.after.bytes < 0.6 * result.before.bytes
    assert result.after.ops["Cast"] == 4


def test_style_transfer(tmp_path: Path) -> None:
    result = _converted("style_candy.onnx", style_feeds(), tmp_path)
    assert result.after.bytes < 0.6 * result.before.bytes


def test_noise_suppressor_has_no_bfloat16_at_its_opset(tmp_path: Path) -> None:
    result = _converted("dtln_1.onnx", noise_feeds(1), tmp_path, to="bfloat16")
    assert any("opset 11 has no conversion to bfloat16" in note for note in result.stats.notes)


@pytest.mark.parametrize("to", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ["bert", "gpt", "vit", "llama"])
def test_reference_model(name: str, to: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    source = models.cached(name, size="tiny", exporter="torchscript", dynamic=True)
    result = onnxopt.convert(source, tmp_path / "out.onnx", to=to)
    assert result.validation is not None
    assert result.validation.passed, result.validation.reason
    assert result.after.bytes < 0.85 * result.before.bytes
