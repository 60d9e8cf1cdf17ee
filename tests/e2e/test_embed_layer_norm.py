"""The embeddings of text encoders become one operator, from both exporters, at several lengths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import models
import onnxopt
from onnxopt.runtime.evaluate import run_small
from tests.golden.harness import HERE

TARGET = str(HERE / "cpu-kernels.toml")
LENGTHS = ((1, 1), (1, 7), (3, 1), (2, 40))


@pytest.mark.parametrize("exporter", models.EXPORTERS)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("name", ["hf-bert", "hf-distilbert"])
def test_embeddings(
    tmp_path: Path, name: str, attention: models.Attention, exporter: models.Exporter
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    source = models.cached(name, size="tiny", exporter=exporter, attention=attention)
    output = tmp_path / "optimised.onnx"
    made = onnxopt.optimize(source, output, target=TARGET, feeds=[sample(name, 2, 5)])
    assert made.after.ops["com.microsoft.EmbedLayerNormalization"] == 1
    assert not lookups(onnx.load(output)), "a table is still read for its shape"
    assert made.validation is not None
    assert made.validation.status == "passed", made.validation.reason
    before, after = onnx.load(source), onnx.load(output)
    for size in LENGTHS:
        feeds = sample(name, *size)
        for want, got in zip(run_small(before, feeds), run_small(after, feeds), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5, err_msg=str(size))


def sample(name: str, batch: int, sequence: int) -> dict[str, Any]:
    """Ids, some of which count from the end, as ``Gather`` allows."""
    rng = np.random.default_rng(batch + 10 * sequence)
    drawn = {
        "input_ids": rng.integers(-99, 99, (batch, sequence)),
        "attention_mask": np.ones((batch, sequence), dtype=np.int64),
    }
    if name == "hf-bert":
        drawn["token_type_ids"] = rng.integers(-2, 2, (batch, sequence))
    return drawn


def lookups(model: onnx.ModelProto) -> list[str]:
    """The lookups of floats that are left."""
    weights = {w.name for w in model.graph.initializer if w.data_type == onnx.TensorProto.FLOAT}
    return [n.name for n in model.graph.node if n.op_type == "Gather" and n.input[0] in weights]
