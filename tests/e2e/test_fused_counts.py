"""How many attentions, normalisations and activations become one operator, model by model.

The table says how many each model of transformers has. All of them must be fused, from both of torch's exporters and
from both implementations of attention: into standard operators at opset 23, and for onnxruntime's CPU at the opset of
the export.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

import models
import onnxopt

ATTENTION = frozenset({"Attention", "com.microsoft.MultiHeadAttention"})
NORMS = frozenset(
    {
        "LayerNormalization",
        "RMSNormalization",
        "com.microsoft.SkipLayerNormalization",
        "com.microsoft.SkipSimplifiedLayerNormalization",
    }
)
ACTIVATIONS = frozenset(
    {
        "Gelu",
        "com.microsoft.BiasGelu",
        "com.microsoft.FastGelu",
        "com.microsoft.Gelu",
        "com.microsoft.QuickGelu",
    }
)
# What would be left of a formula that was not recognised.
REMAINS = frozenset({"Softmax", "IsNaN", "Erf"})


@dataclass(frozen=True)
class Fused:
    """What a model has of each, at size tiny."""

    attention: int
    norms: int
    activations: int


TABLE = {
    "hf-bert": Fused(attention=2, norms=5, activations=2),
    "hf-distilbert": Fused(attention=2, norms=5, activations=2),
    "hf-gpt2": Fused(attention=2, norms=5, activations=2),
    "hf-llama": Fused(attention=2, norms=5, activations=2),
    "hf-vit": Fused(attention=2, norms=5, activations=2),
    "hf-swin": Fused(attention=3, norms=9, activations=3),
    "hf-segformer": Fused(attention=3, norms=12, activations=3),
    "hf-convnext": Fused(attention=0, norms=6, activations=3),
    "hf-whisper": Fused(attention=2, norms=5, activations=4),
    "hf-yolos": Fused(attention=2, norms=5, activations=2),
}
# SiLU is a standard operator from opset 24 on only.
STANDARD = {**TABLE, "hf-llama": Fused(attention=2, norms=5, activations=0)}
# RMS normalisation is an operator from opset 23 on; of its formula onnxruntime makes one when it loads the model.
LOWERED = {**TABLE, "hf-llama": Fused(attention=2, norms=0, activations=2)}
FORMS = [
    (name, exporter, attention)
    for name in TABLE
    for exporter in models.EXPORTERS
    for attention in models.attentions(name) or (None,)
]


@pytest.mark.parametrize(("name", "exporter", "attention"), FORMS)
def test_all_are_fused(
    name: str, exporter: models.Exporter, attention: models.Attention | None
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    source = models.cached(name, size="tiny", exporter=exporter, attention=attention)
    standard = onnxopt.optimize(source, opset=23, validate=False)
    assert fused(standard.after.ops) == STANDARD[name]
    assert not any("." in op for op in standard.after.ops), "not standard"
    newest = onnxopt.optimize(source, opset=23, target="ort-cpu", validate=False)
    assert fused(newest.after.ops) == TABLE[name]
    lowered = onnxopt.optimize(source, target="ort-cpu", feeds=samples(name))
    assert fused(lowered.after.ops) == LOWERED[name]
    assert lowered.validation is not None
    assert lowered.validation.status == "passed", lowered.validation.reason
    assert not lowered.left_out


def fused(ops: dict[str, int]) -> Fused:
    """Counts what was fused; nothing may be left of the formulas."""
    assert not REMAINS & set(ops), sorted(REMAINS & set(ops))
    found = Counter(ops)
    return Fused(
        attention=sum(found[op] for op in ATTENTION),
        norms=sum(found[op] for op in NORMS),
        activations=sum(found[op] for op in ACTIVATIONS),
    )


def samples(name: str) -> list[dict[str, Any]]:
    """Two samples of the model's own inputs."""
    return [models.sample_inputs(name, "tiny", seed) for seed in (0, 1)]
