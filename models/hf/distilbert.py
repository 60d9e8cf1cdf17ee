"""DistilBERT: BERT without token types and pooler."""

from __future__ import annotations

from torch import nn
from transformers import DistilBertConfig, DistilBertModel

from models.hf.common import Flat, configured
from models.spec import Attention, Config, number


def build(config: Config, attention: Attention) -> nn.Module:
    """The network for one configuration of the catalog."""
    model = DistilBertModel(
        configured(
            DistilBertConfig,
            attention,
            vocab_size=number(config, "vocab"),
            dim=number(config, "width"),
            n_layers=number(config, "layers"),
            n_heads=number(config, "heads"),
            hidden_dim=number(config, "inner"),
            max_position_embeddings=number(config, "context"),
        )
    )
    return Flat(model, ("input_ids", "attention_mask"), ("last_hidden_state",))
