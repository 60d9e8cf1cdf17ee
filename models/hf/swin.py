"""Swin: attention in shifted windows with a bias for each relative position, patches merged."""

from __future__ import annotations

from torch import nn
from transformers import SwinConfig, SwinForImageClassification

from models.hf.common import Flat, configured, damp
from models.spec import Attention, Config, number, several


def build(config: Config, attention: Attention) -> nn.Module:
    """The network for one configuration of the catalog."""
    model = SwinForImageClassification(
        configured(
            SwinConfig,
            attention,
            image_size=number(config, "image"),
            embed_dim=number(config, "width"),
            depths=several(config, "depths"),
            num_heads=several(config, "heads"),
            window_size=number(config, "window"),
            num_labels=number(config, "classes"),
        )
    )
    damp(model, r"o_proj|fc2")
    return Flat(model, ("pixel_values",), ("logits",))
