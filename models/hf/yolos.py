"""YOLOS: tokens for detections beside those of the patches, positions resized to the image."""

from __future__ import annotations

from torch import nn
from transformers import YolosConfig, YolosForObjectDetection

from models.hf.common import Flat, configured, damp
from models.spec import Attention, Config, height_and_width, number


def build(config: Config, attention: Attention) -> nn.Module:
    """The network for one configuration of the catalog."""
    model = YolosForObjectDetection(
        configured(
            YolosConfig,
            attention,
            image_size=height_and_width(config, "positions"),
            patch_size=number(config, "patch"),
            hidden_size=number(config, "width"),
            num_hidden_layers=number(config, "layers"),
            num_attention_heads=number(config, "heads"),
            intermediate_size=number(config, "inner"),
            num_detection_tokens=number(config, "tokens"),
            use_mid_position_embeddings=bool(number(config, "mid_positions")),
            num_labels=number(config, "classes"),
        )
    )
    damp(model, r"output\.dense")
    return Flat(model, ("pixel_values",), ("logits", "pred_boxes"))
