"""BERT: sums of embeddings, normalizations after each residual, a pooler on the first token."""

from __future__ import annotations

from torch import nn
from transformers import BertConfig, BertModel

from models.hf.common import Flat, configured
from models.spec import Attention, Config, number


def build(config: Config, attention: Attention) -> nn.Module:
    """The network for one configuration of the catalog."""
    model = BertModel(
        configured(
            BertConfig,
            attention,
            vocab_size=number(config, "vocab"),
            hidden_size=number(config, "width"),
            num_hidden_layers=number(config, "layers"),
            num_attention_heads=number(config, "heads"),
            intermediate_size=number(config, "inner"),
            max_position_embeddings=number(config, "context"),
        )
    )
    return Flat(
        model,
        ("input_ids", "attention_mask", "token_type_ids"),
        ("last_hidden_state", "pooler_output"),
    )
