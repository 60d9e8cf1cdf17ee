"""Llama: RMS normalization, rotary positions, heads that share keys and values, a gated MLP."""

from __future__ import annotations

from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from models.hf.common import Decoder, configured, damp
from models.spec import Attention, Config, number


def build(config: Config, attention: Attention) -> nn.Module:
    """The network for one configuration of the catalog."""
    model = LlamaForCausalLM(
        configured(
            LlamaConfig,
            attention,
            vocab_size=number(config, "vocab"),
            hidden_size=number(config, "width"),
            intermediate_size=number(config, "inner"),
            num_hidden_layers=number(config, "layers"),
            num_attention_heads=number(config, "heads"),
            num_key_value_heads=number(config, "kv_heads"),
            max_position_embeddings=number(config, "context"),
        )
    )
    damp(model, r"o_proj|down_proj")
    return Decoder(model)
