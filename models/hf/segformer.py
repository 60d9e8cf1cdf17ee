"""SegFormer: keys and values reduced by convolutions, a head over all stages brought to one size."""

from __future__ import annotations

from torch import nn
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from models.hf.common import Flat, configured, damp
from models.spec import Attention, Config, number, several


def build(config: Config, attention: Attention) -> nn.Module:
    """The network for one configuration of the catalog."""
    widths = several(config, "widths")
    later = len(widths) - 1
    model = SegformerForSemanticSegmentation(
        configured(
            SegformerConfig,
            attention,
            num_encoder_blocks=len(widths),
            depths=several(config, "depths"),
            sr_ratios=several(config, "reductions"),
            hidden_sizes=widths,
            patch_sizes=(7, *(3,) * later),
            strides=(4, *(2,) * later),
            num_attention_heads=several(config, "heads"),
            mlp_ratios=(4,) * len(widths),
            decoder_hidden_size=number(config, "inner"),
            num_labels=number(config, "classes"),
        )
    )
    damp(model, r"o_proj|fc2")
    return Flat(model, ("pixel_values",), ("logits",))
