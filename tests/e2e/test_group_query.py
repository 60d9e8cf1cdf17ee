"""Llama with a cache becomes ``GroupQueryAttention``: both exporters, both implementations, several lengths.

The operator runs on the CPU here, from a target of the tests' own: ort-cuda lists it for half precision alone.
"""

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
LAYERS, HEADS, SHARED, WIDTH, VOCABULARY = 2, 4, 2, 16, 99
CACHE = [f"{i}.{part}" for i in range(LAYERS) for part in ("key", "value")]
SINGLE = [(1, s, p) for s in (1, 2, 9) for p in (0, 1, 6, 21)]
DECODING = [(b, 1, p) for b in (1, 3) for p in (0, 1, 6, 21)]


def exported(folder: Path, exporter: models.Exporter, attention: models.Attention) -> Path:
    """Exports Llama that is given tokens and its cache, no mask and no positions."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from models.build import Built
    from models.exporting import export_built
    from models.hf.common import Continuation, configured

    torch.manual_seed(0)
    config = configured(
        LlamaConfig,
        attention,
        vocab_size=VOCABULARY,
        hidden_size=HEADS * WIDTH,
        intermediate_size=48,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=SHARED,
        max_position_embeddings=40,
        initializer_range=0.3,
    )
    module = Continuation(LlamaForCausalLM(config)).eval()
    past = [f"past_key_values.{name}" for name in CACHE]
    built = Built(
        module=module,
        example_inputs=(torch.zeros(2, 3, dtype=torch.int64), *torch.randn(4, 2, SHARED, 5, WIDTH)),
        input_names=("input_ids", *past),
        output_names=("logits", *(f"present.{name}" for name in CACHE)),
        dynamic_axes={
            "input_ids": {0: "batch", 1: "sequence"},
            **{name: {0: "batch", 2: "past"} for name in past},
        },
        fixed_arguments=1,
        specialised=(),
        limits=(),
    )
    return export_built(built, folder / "llama.onnx", exporter=exporter)


def sample(batch: int, sequence: int, past: int) -> dict[str, Any]:
    """Tokens and a cache, signed."""
    rng = np.random.default_rng(batch + 10 * sequence + 100 * past)
    cache = {
        f"past_key_values.{name}": rng.normal(size=(batch, SHARED, past, WIDTH)).astype(np.float32)
        for name in CACHE
    }
    return {"input_ids": rng.integers(0, VOCABULARY, (batch, sequence)), **cache}


@pytest.mark.parametrize("exporter", models.EXPORTERS)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_llama_with_its_cache(
    tmp_path: Path, exporter: models.Exporter, attention: models.Attention
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    source = exported(tmp_path, exporter, attention)
    # Several sequences of several tokens each is what the operator does not take.
    free = onnxopt.optimize(source, target=TARGET, feeds=[sample(2, 3, 5), sample(3, 2, 0)])
    assert free.after.ops.get("com.microsoft.GroupQueryAttention", 0) == 0
    assert free.after.ops["com.microsoft.MultiHeadAttention"] == LAYERS
    for dims, lengths in (({"batch": 1}, SINGLE), ({"sequence": 1}, DECODING)):
        output = tmp_path / "optimised.onnx"
        made = onnxopt.optimize(
            source, output, target=TARGET, dims=dims, feeds=[sample(*lengths[0])]
        )
        assert made.after.ops["com.microsoft.GroupQueryAttention"] == LAYERS
        assert not {"Softmax", "Neg", "LessOrEqual", "com.microsoft.RotaryEmbedding"} & set(
            made.after.ops
        )
        same_numbers(source, output, lengths)


def same_numbers(source: Path, output: Path, lengths: list[tuple[int, int, int]]) -> None:
    """Compares logits and cache of both models, for each batch, number of tokens and length of the cache."""
    before, after = onnx.load(source), onnx.load(output)
    nodes = [n for n in after.graph.node if n.op_type == "GroupQueryAttention"]
    assert all(onnx.helper.get_node_attr_value(n, "do_rotary") == 1 for n in nodes)
    for size in lengths:
        feeds = sample(*size)
        for want, got in zip(run_small(before, feeds), run_small(after, feeds), strict=True):
            assert want.shape == got.shape, size
            scale = float(np.abs(want).max(initial=1.0))
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 * scale, err_msg=str(size))
