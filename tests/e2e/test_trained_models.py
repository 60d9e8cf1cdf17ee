"""Trained models that nobody here made, with real inputs: optimised, validated, smaller."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import onnxopt

from . import recordings


def optimise(name: str, folder: Path, feeds: list[recordings.Feed], **options: Any) -> Path:
    out = folder / name
    result = onnxopt.optimize(recordings.require(name), out, feeds=feeds, **options)
    assert result.validation is not None
    assert result.validation.status == "passed", result.validation.reason
    assert not result.left_out
    assert not result.failures
    assert not result.stats.errors
    assert result.after.nodes < result.before.nodes
    assert result.after.bytes <= result.before.bytes
    onnx.checker.check_model(out)
    return out


def counts(path: Path) -> Counter[str]:
    """Counts operators, subgraphs included."""
    found: Counter[str] = Counter()

    def walk(graph: onnx.GraphProto) -> None:
        for node in graph.node:
            found[node.op_type] += 1
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.GRAPH:
                    walk(attribute.g)

    walk(onnx.load(path).graph)
    return found


def test_voice_activity_detector(tmp_path: Path) -> None:
    feeds = recordings.vad_feeds(6)
    source = recordings.require("silero_vad.onnx")
    out = optimise("silero_vad.onnx", tmp_path, feeds)
    before, after = counts(source), counts(out)
    assert after["If"] < before["If"]
    assert after["If"] >= 1, "the sampling rate is an input, so that one If must stay"
    assert sum(after.values()) < 0.6 * sum(before.values())


def test_voice_activity_over_a_whole_recording(tmp_path: Path) -> None:
    """The state fed back over seconds of speech must not drift."""
    source = recordings.require("silero_vad.onnx")
    out = optimise("silero_vad.onnx", tmp_path, recordings.vad_feeds(1))
    samples = recordings.speech(10.0)
    chances = [_speech_chances(path, samples) for path in (source, out)]
    np.testing.assert_allclose(chances[1], chances[0], atol=2e-3)
    assert max(chances[0]) > 0.9, "there is speech in the recording"
    assert min(chances[0]) < 0.1, "and there are pauses"


def _speech_chances(path: Path, samples: np.ndarray) -> list[float]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    state = np.zeros((2, 1, 128), np.float32)
    context = np.zeros(64, np.float32)
    chances = []
    for start in range(0, len(samples) - 512, 512):
        window = samples[start : start + 512]
        feed = {"input": np.concatenate([context, window])[None], "state": state}
        chance, state = session.run(None, {**feed, "sr": np.array(16000, np.int64)})
        context = window[-64:]
        chances.append(float(chance[0, 0]))
    return chances


def test_face_detector_keeps_overridable_weights(tmp_path: Path) -> None:
    """Its weights are listed as inputs at IR version 4, where callers may override them."""
    out = optimise("ultraface_rfb_320.onnx", tmp_path, recordings.face_feeds())
    source = onnx.load(recordings.require("ultraface_rfb_320.onnx"))
    assert [i.name for i in onnx.load(out).graph.input] == [i.name for i in source.graph.input]
    assert counts(out)["BatchNormalization"] == 35


def test_face_detector_frozen_loses_its_normalizations(tmp_path: Path) -> None:
    out = optimise("ultraface_rfb_320.onnx", tmp_path, recordings.face_feeds(), freeze_inputs=True)
    found = counts(out)
    assert found["BatchNormalization"] == 0
    assert found["Shape"] == found["Gather"] == found["Unsqueeze"] == 0
    assert [i.name for i in onnx.load(out).graph.input] == ["input"]


def test_noise_suppressor(tmp_path: Path) -> None:
    out = optimise("dtln_1.onnx", tmp_path, recordings.noise_feeds(4))
    assert counts(out)["LSTM"] == 2


def test_style_transfer(tmp_path: Path) -> None:
    """Opset 7 with experimental operators, IR version 3 with its weights listed as inputs."""
    out = optimise("style_candy.onnx", tmp_path, recordings.style_feeds())
    model = onnx.load(out)
    assert [i.name for i in model.graph.input] == ["inputImage"]
    assert model.ir_version == 4
    assert model.opset_import[0].version == 7


@pytest.mark.parametrize("level", [0, 1])
def test_lower_levels(level: int, tmp_path: Path) -> None:
    source = recordings.require("dtln_1.onnx")
    out = tmp_path / "out.onnx"
    result = onnxopt.optimize(source, out, level=level, feeds=recordings.noise_feeds(2))
    assert result.validation is not None
    assert result.validation.status == "passed"
    if level == 0:
        assert contents(out) == contents(source)


def contents(path: Path) -> object:
    """Returns what a model says, however its weights and empty fields are spelt."""
    graph = onnx.load(path).graph
    nodes = [
        (n.op_type, n.name, list(n.input), list(n.output), list(n.attribute)) for n in graph.node
    ]
    weights = {i.name: onnx.numpy_helper.to_array(i).tobytes() for i in graph.initializer}
    return nodes, weights, list(graph.input), list(graph.output)
