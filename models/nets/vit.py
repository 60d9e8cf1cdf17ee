"""Vision transformer with pre-normalisation and torch's own scaled dot-product attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.nets.common import merge_heads
from models.spec import Config, number


class Block(nn.Module):
    """Attention with one projection for query, key and value; then a feed-forward."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.output.gain = 0.5  # type: ignore[assignment]
        self.mlp_norm = nn.LayerNorm(width, eps=1e-6)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        self.down.gain = 0.5  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        shape = (batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = self.qkv(self.attention_norm(x)).reshape(shape).permute(2, 0, 3, 1, 4).unbind(0)
        x = x + self.output(merge_heads(nn.functional.scaled_dot_product_attention(q, k, v)))
        out: Tensor = x + self.down(nn.functional.gelu(self.up(self.mlp_norm(x))))
        return out


class ViT(nn.Module):
    """Patches by a strided convolution, class token, learned positions, blocks, head."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, patch = number(config, "width"), number(config, "patch")
        tokens = (number(config, "image") // patch) ** 2 + 1
        self.patches = nn.Conv2d(3, width, patch, stride=patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, tokens, width))
        self.dropout = nn.Dropout(0.1)
        self.blocks = nn.ModuleList(
            Block(width, number(config, "heads")) for _ in range(number(config, "layers"))
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, number(config, "classes"))

    def forward(self, pixel_values: Tensor) -> Tensor:
        x = self.patches(pixel_values).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], dim=1)
        x = self.dropout(x + self.positions)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x)[:, 0])
        return logits


def build(config: Config) -> nn.Module:
    """The network for one configuration of the catalog."""
    return ViT(config)
