"""GPT-2-like decoder: learned positions, tanh GELU spelled out, tied embeddings, cache."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from models.nets.common import causal_mask, merge_heads, split_heads
from models.spec import Config, number


def gelu_tanh(x: Tensor) -> Tensor:
    """The tanh approximation of GELU, written out as GPT-2's code writes it."""
    inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))
    return 0.5 * x * (1.0 + torch.tanh(inner))


class Projection(nn.Module):
    """A linear layer that stores its weight input-major, as GPT-2 does."""

    def __init__(self, width_in: int, width_out: int, gain: float = 1.0) -> None:
        super().__init__()
        self.matrix = nn.Linear(width_out, width_in, bias=False)
        self.matrix.gain = gain  # type: ignore[assignment]
        self.bias = nn.Parameter(torch.zeros(width_out))

    def forward(self, x: Tensor) -> Tensor:
        flat = torch.addmm(self.bias, x.reshape(-1, x.shape[-1]), self.matrix.weight)
        return flat.view(*x.shape[:-1], -1)


class Block(nn.Module):
    """Pre-normalised causal attention with a cache, and a feed-forward."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = Projection(width, 3 * width)
        self.output = Projection(width, width, gain=0.5)
        self.mlp_norm = nn.LayerNorm(width)
        self.up = Projection(width, 4 * width)
        self.down = Projection(4 * width, width, gain=0.5)

    def forward(
        self, x: Tensor, bias: Tensor, past_key: Tensor, past_value: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        projected = self.qkv(self.attention_norm(x)).chunk(3, dim=-1)
        q, k, v = (split_heads(part, self.heads) for part in projected)
        k = torch.cat([past_key, k], dim=2)
        v = torch.cat([past_value, v], dim=2)
        scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(q.shape[-1]) + bias
        x = x + self.output(merge_heads(torch.matmul(torch.softmax(scores, dim=-1), v)))
        return x + self.down(gelu_tanh(self.up(self.mlp_norm(x)))), k, v


class Gpt(nn.Module):
    """Embeddings, blocks, and a head that shares the token embedding's weight."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, vocab = number(config, "width"), number(config, "vocab")
        self.tokens = nn.Embedding(vocab, width)
        self.positions = nn.Embedding(number(config, "context"), width)
        self.blocks = nn.ModuleList(
            Block(width, number(config, "heads")) for _ in range(number(config, "layers"))
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocab, bias=False)
        self.head.weight = self.tokens.weight

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor, *past: Tensor
    ) -> tuple[Tensor, ...]:
        x = self.tokens(input_ids) + self.positions(position_ids)
        bias = causal_mask(attention_mask, input_ids.shape[1], x.dtype)
        present: list[Tensor] = []
        for i, block in enumerate(self.blocks):
            x, key, value = block(x, bias, past[2 * i], past[2 * i + 1])
            present += [key, value]
        return self.head(self.norm(x)), *present


def build(config: Config) -> nn.Module:
    """The network for one configuration of the catalog."""
    return Gpt(config)
