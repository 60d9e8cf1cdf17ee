"""The encoder of Whisper: convolutions over a spectrogram, then pre-normalised attention."""

from __future__ import annotations

from torch import nn
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from models.hf.common import Flat, configured, damp
from models.spec import Attention, Config, number


def build(config: Config, attention: Attention) -> nn.Module:
    """The network for one configuration of the catalog."""
    model = WhisperEncoder(
        configured(
            WhisperConfig,
            attention,
            num_mel_bins=number(config, "mels"),
            d_model=number(config, "width"),
            encoder_layers=number(config, "layers"),
            encoder_attention_heads=number(config, "heads"),
            encoder_ffn_dim=number(config, "inner"),
            max_source_positions=number(config, "context"),
        )
    )
    damp(model, r"out_proj|fc2")
    return Flat(model, ("input_features",), ("last_hidden_state",))
