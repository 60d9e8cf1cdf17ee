"""Embedding, bidirectional LSTM and a tagging head."""

from __future__ import annotations

from torch import Tensor, nn

from models.spec import Config, number


class Tagger(nn.Module):
    """One score per token and label."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = number(config, "width")
        self.tokens = nn.Embedding(number(config, "vocab"), number(config, "embed"))
        self.lstm = nn.LSTM(
            number(config, "embed"),
            width,
            num_layers=number(config, "layers"),
            bidirectional=True,
            batch_first=True,
        )
        self.norm = nn.LayerNorm(2 * width)
        self.head = nn.Linear(2 * width, number(config, "labels"))

    def forward(self, input_ids: Tensor) -> Tensor:
        states, _ = self.lstm(self.tokens(input_ids))
        logits: Tensor = self.head(self.norm(states))
        return logits


def build(config: Config) -> nn.Module:
    """The network for one configuration of the catalog."""
    return Tagger(config)
