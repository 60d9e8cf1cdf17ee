"""ConvNeXt: depthwise convolutions, normalization of channels, scaled residual branches."""

from __future__ import annotations

from torch import nn
from transformers import ConvNextConfig, ConvNextForImageClassification

from models.hf.common import Flat, configured
from models.spec import Config, number, several


def build(config: Config) -> nn.Module:
    """The network for one configuration of the catalog."""
    widths = several(config, "widths")
    model = ConvNextForImageClassification(
        configured(
            ConvNextConfig,
            None,
            num_stages=len(widths),
            hidden_sizes=widths,
            depths=several(config, "depths"),
            num_labels=number(config, "classes"),
        )
    )
    return Flat(model, ("pixel_values",), ("logits",))
