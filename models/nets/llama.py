"""Llama-like decoder: RMSNorm, rotary positions, grouped key/value heads, SwiGLU, cache."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.nets.common import causal_mask, merge_heads, split_heads
from models.spec import Config, number


class RMSNorm(nn.Module):
    """``x / sqrt(mean(x^2) + eps) * weight``, computed in float32 as the originals do."""

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        dtype = x.dtype
        x = x.to(torch.float32)
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * x.to(dtype)


class Rotary(nn.Module):
    """Cosines and sines of the positions, computed in the graph."""

    def __init__(self, head_dim: int, base: float = 10000.0) -> None:
        super().__init__()
        frequencies = base ** (-torch.arange(0, head_dim, 2).float() / head_dim)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.frequencies: Tensor

    def forward(self, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        angles = position_ids[:, :, None].float() * self.frequencies
        doubled = torch.cat([angles, angles], dim=-1)[:, None]
        return doubled.cos(), doubled.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the halves of each head against each other by the angle of the position."""
    half = x.shape[-1] // 2
    turned = torch.cat([-x[..., half:], x[..., :half]], dim=-1)
    return x * cos + turned * sin


def repeat_heads(x: Tensor, times: int) -> Tensor:
    """Give each key/value head to ``times`` query heads."""
    batch, heads, sequence, head_dim = x.shape
    x = x[:, :, None].expand(batch, heads, times, sequence, head_dim)
    return x.reshape(batch, heads * times, sequence, head_dim)


class Block(nn.Module):
    """Grouped attention with rotary positions and a cache; then a gated feed-forward."""

    def __init__(self, width: int, heads: int, kv_heads: int, inner: int) -> None:
        super().__init__()
        self.heads, self.kv_heads = heads, kv_heads
        kv_width = width // heads * kv_heads
        self.attention_norm = RMSNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, kv_width, bias=False)
        self.value = nn.Linear(width, kv_width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.output.gain = 0.5  # type: ignore[assignment]
        self.mlp_norm = RMSNorm(width)
        self.gate = nn.Linear(width, inner, bias=False)
        self.up = nn.Linear(width, inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)
        self.down.gain = 0.5  # type: ignore[assignment]

    def forward(
        self,
        x: Tensor,
        bias: Tensor,
        turn: tuple[Tensor, Tensor],
        past_key: Tensor,
        past_value: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        y = self.attention_norm(x)
        q = rotate(split_heads(self.query(y), self.heads), *turn)
        k = rotate(split_heads(self.key(y), self.kv_heads), *turn)
        k = torch.cat([past_key, k], dim=2)
        v = torch.cat([past_value, split_heads(self.value(y), self.kv_heads)], dim=2)
        times = self.heads // self.kv_heads
        context = nn.functional.scaled_dot_product_attention(
            q, repeat_heads(k, times), repeat_heads(v, times), attn_mask=bias
        )
        x = x + self.output(merge_heads(context))
        y = self.mlp_norm(x)
        return x + self.down(nn.functional.silu(self.gate(y)) * self.up(y)), k, v


class Llama(nn.Module):
    """Embedding, blocks, last normalization, untied head."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, heads = number(config, "width"), number(config, "heads")
        self.tokens = nn.Embedding(number(config, "vocab"), width)
        self.rotary = Rotary(width // heads)
        self.blocks = nn.ModuleList(
            Block(width, heads, number(config, "kv_heads"), number(config, "inner"))
            for _ in range(number(config, "layers"))
        )
        self.norm = RMSNorm(width)
        self.head = nn.Linear(width, number(config, "vocab"), bias=False)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor, *past: Tensor
    ) -> tuple[Tensor, ...]:
        x: Tensor = self.tokens(input_ids)
        bias = causal_mask(attention_mask, input_ids.shape[1], x.dtype)
        turn = self.rotary(position_ids)
        present: list[Tensor] = []
        for i, block in enumerate(self.blocks):
            x, key, value = block(x, bias, turn, past[2 * i], past[2 * i + 1])
            present += [key, value]
        return self.head(self.norm(x)), *present


def build(config: Config) -> nn.Module:
    """The network for one configuration of the catalog."""
    return Llama(config)
