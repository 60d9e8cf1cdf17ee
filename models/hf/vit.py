"""ViT: patches and a class token, normalizations before each residual branch."""

from __future__ import annotations

from torch import nn
from transformers import ViTConfig, ViTForImageClassification

from models.hf.common import Flat, configured, damp
from models.spec import Attention, Config, number


def build(config: Config, attention: Attention) -> nn.Module:
    """The network for one configuration of the catalog."""
    model = ViTForImageClassification(
        configured(
            ViTConfig,
            attention,
            image_size=number(config, "image"),
            patch_size=number(config, "patch"),
            hidden_size=number(config, "width"),
            num_hidden_layers=number(config, "layers"),
            num_attention_heads=number(config, "heads"),
            intermediate_size=number(config, "inner"),
            num_labels=number(config, "classes"),
        )
    )
    damp(model, r"o_proj|fc2")
    return Flat(model, ("pixel_values",), ("logits",))
