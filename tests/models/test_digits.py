"""The trained digits classifier is the file its sidecar describes, and is as accurate as it says."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

MODELS = Path(__file__).resolve().parents[2] / "models"
MODEL = MODELS / "digits_cnn.onnx"


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((MODELS / "digits_cnn.json").read_text())
    return loaded


def test_is_the_file_described(facts: dict[str, Any]) -> None:
    content = MODEL.read_bytes()
    assert hashlib.sha256(content).hexdigest() == facts["sha256"]
    assert len(content) < 1_000_000


def test_accuracy_is_what_the_runtime_gives(facts: dict[str, Any]) -> None:
    with np.load(MODELS / "digits_test.npz") as held_out:
        images, labels = held_out["images"].astype(np.float32), held_out["labels"]
    assert len(labels) == facts["split"]["test"]
    session = onnxruntime.InferenceSession(str(MODEL), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"images": images})
    right = int((logits.argmax(1) == labels).sum())
    # Another CPU may round a borderline image differently: allow one.
    assert abs(right - facts["test_accuracy"] * len(labels)) <= 1
    assert facts["test_accuracy"] > 0.97


def test_held_out_images_are_those_of_the_split(facts: dict[str, Any]) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    selection = pytest.importorskip("sklearn.model_selection")
    digits = datasets.load_digits()
    _, images, _, labels = selection.train_test_split(
        digits.images,
        digits.target,
        test_size=facts["split"]["held_out_fraction"],
        random_state=facts["split"]["seed"],
        stratify=digits.target,
    )
    with np.load(MODELS / "digits_test.npz") as held_out:
        np.testing.assert_array_equal(held_out["labels"], labels)
        np.testing.assert_array_equal(held_out["images"][:, 0], images)


def test_leaves_something_to_optimise() -> None:
    model = onnx.load(MODEL)
    onnx.checker.check_model(model, full_check=True)
    ops = [node.op_type for node in model.graph.node]
    assert ops.count("BatchNormalization") == 5
    assert "Shape" in ops
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
