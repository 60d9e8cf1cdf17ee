"""Real trained models: each validates against itself, and a small damage is found."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from onnxopt.runtime.inputs import load
from onnxopt.runtime.validate import validate

MODELS = Path(__file__).resolve().parents[3] / "shared" / "models"
pytestmark = pytest.mark.skipif(
    not MODELS.is_dir(), reason=f"{MODELS} with the real models is not here"
)
Feeds = list[dict[str, np.ndarray]]


def _speech(count: int) -> np.ndarray:
    with wave.open(str(MODELS / "speech.wav")) as stream:
        stream.setpos(16000 * 5)
        raw = stream.readframes(count)
    return np.frombuffer(raw, np.int16).astype(np.float32) / 32768


def _image(name: str, width: int, height: int) -> np.ndarray:
    pillow = pytest.importorskip("PIL.Image")
    image = pillow.open(MODELS / "images" / name).convert("RGB").resize((width, height))
    return np.asarray(image, np.float32).transpose(2, 0, 1)[None]


def _vad() -> Feeds:
    rng = np.random.default_rng(0)
    signal = _speech(512 * 4 + 64)
    return [
        {
            "input": signal[None, 512 * k : 512 * k + 576],
            "state": (0.3 * rng.standard_normal((2, 1, 128))).astype(np.float32),
            "sr": np.array(16000, np.int64),
        }
        for k in range(4)
    ]


def _denoiser() -> Feeds:
    frames = np.lib.stride_tricks.sliding_window_view(_speech(4096), 512)[::1024]
    spectra = np.abs(np.fft.rfft(frames)).astype(np.float32)
    state = np.zeros((1, 2, 128, 2), np.float32)
    return [{"input_2": spectrum[None, None], "input_3": state} for spectrum in spectra]


def _detector() -> Feeds:
    names = ("1.jpg", "3.jpg")
    return [{"input": ((_image(n, 320, 240) - 127) / 128).astype(np.float32)} for n in names]


def _style() -> Feeds:
    return [{"inputImage": _image("2.jpg", 720, 720)}]


REAL: dict[str, Callable[[], Feeds]] = {
    "silero_vad": _vad,
    "dtln_1": _denoiser,
    "ultraface_rfb_320": _detector,
    "style_candy": _style,
}


@pytest.mark.parametrize("name", REAL)
def test_real_inputs(name: str, tmp_path: Path) -> None:
    path = MODELS / f"{name}.onnx"
    for index, feed in enumerate(REAL[name]()):
        np.savez(tmp_path / f"{index}.npz", **feed)  # type: ignore[arg-type]
    model = ir.load(path)
    result = validate(path, path, feeds=load([tmp_path], model), model=model)
    assert result.status == "passed", result.reason
    assert len(result.samples) == len(list(tmp_path.iterdir()))


@pytest.mark.parametrize("name", ["silero_vad", "dtln_1", "ultraface_rfb_320"])
def test_generated_inputs(name: str) -> None:
    path = MODELS / f"{name}.onnx"
    result = validate(path, path)
    assert result.status == "passed", result.reason
    assert len(result.samples) >= 5
    assert all(np.isfinite(o.max_abs) and o.elements for o in result.providers[0].outputs)


def _damage(model: onnx.ModelProto, change: Callable[[str, np.ndarray], Any]) -> None:
    for tensor in model.graph.initializer:
        array = change(tensor.name, onnx.numpy_helper.to_array(tensor).copy())
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))


def test_one_damaged_channel_is_found(tmp_path: Path) -> None:
    model = onnx.load(MODELS / "ultraface_rfb_320.onnx")

    def change(name: str, array: np.ndarray) -> np.ndarray:
        if name == "base_net.8.1.weight":  # the scale of a BatchNormalization
            array[0] *= np.float32(1.01)
        return array

    _damage(model, change)
    onnx.save(model, tmp_path / "damaged.onnx")
    result = validate(MODELS / "ultraface_rfb_320.onnx", tmp_path / "damaged.onnx")
    assert result.status == "failed"
    assert "output" in result.reason
