"""BERT-like encoder with attention spelled out in matrix products and Softmax."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from models.nets.common import merge_heads, split_heads
from models.spec import Config, number


class Embeddings(nn.Module):
    """Token, position and type embeddings, summed and normalised."""

    def __init__(self, vocab: int, context: int, width: int) -> None:
        super().__init__()
        self.word = nn.Embedding(vocab, width)
        self.position = nn.Embedding(context, width)
        self.segment = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.register_buffer("position_ids", torch.arange(context)[None], persistent=False)
        self.position_ids: Tensor

    def forward(self, input_ids: Tensor, token_type_ids: Tensor) -> Tensor:
        positions = self.position_ids[:, : input_ids.shape[1]]
        x = self.word(input_ids) + self.segment(token_type_ids) + self.position(positions)
        out: Tensor = self.norm(x)
        return out


class Layer(nn.Module):
    """Self-attention and feed-forward, each with a residual and a normalization after it."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width, eps=1e-12)
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)
        self.output_norm = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        q = split_heads(self.query(x), self.heads)
        k = split_heads(self.key(x), self.heads)
        v = split_heads(self.value(x), self.heads)
        scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(q.shape[-1]) + bias
        context = merge_heads(torch.matmul(torch.softmax(scores, dim=-1), v))
        x = self.attention_norm(self.output(context) + x)
        out: Tensor = self.output_norm(self.down(nn.functional.gelu(self.up(x))) + x)
        return out


class Bert(nn.Module):
    """Embeddings, encoder layers, and a pooler on the first token."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = number(config, "width")
        self.embeddings = Embeddings(number(config, "vocab"), number(config, "context"), width)
        self.layers = nn.ModuleList(
            Layer(width, number(config, "heads"), number(config, "inner"))
            for _ in range(number(config, "layers"))
        )
        self.pooler = nn.Linear(width, width)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor
    ) -> tuple[Tensor, Tensor]:
        x: Tensor = self.embeddings(input_ids, token_type_ids)
        mask = attention_mask[:, None, None, :].to(x.dtype)
        bias = (1.0 - mask) * torch.finfo(x.dtype).min
        for layer in self.layers:
            x = layer(x, bias)
        return x, torch.tanh(self.pooler(x[:, 0]))


def build(config: Config) -> nn.Module:
    """The network for one configuration of the catalog."""
    return Bert(config)
