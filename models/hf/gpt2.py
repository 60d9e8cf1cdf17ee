"""GPT-2: learned positions, one projection for query, key and value, weights stored input-major."""

from __future__ import annotations

from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from models.hf.common import Decoder, configured, damp
from models.spec import Attention, Config, number


def build(config: Config, attention: Attention) -> nn.Module:
    """The network for one configuration of the catalog."""
    model = GPT2LMHeadModel(
        configured(
            GPT2Config,
            attention,
            vocab_size=number(config, "vocab"),
            n_positions=number(config, "context"),
            n_embd=number(config, "width"),
            n_layer=number(config, "layers"),
            n_head=number(config, "heads"),
            n_inner=number(config, "inner"),
            bos_token_id=None,
            eos_token_id=None,
        )
    )
    damp(model, r"c_proj")
    return Decoder(model)
