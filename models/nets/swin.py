"""Windowed attention in the style of Swin: shifted windows, position bias, patch merging."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.nets.common import merge_heads
from models.spec import Config, number


def to_windows(x: Tensor, window: int) -> Tensor:
    """``[batch, height, width, channels]`` to ``[batch * windows, window^2, channels]``."""
    batch, height, width, channels = x.shape
    x = x.view(batch, height // window, window, width // window, window, channels)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, window * window, channels)


def from_windows(x: Tensor, window: int, height: int, width: int) -> Tensor:
    """The inverse of :func:`to_windows`."""
    x = x.view(-1, height // window, width // window, window, window, x.shape[-1])
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, x.shape[-1])


def shift_mask(height: int, width: int, window: int, shift: int, like: Tensor) -> Tensor:
    """Which pairs of a shifted window may not attend to each other: ``[windows, w^2, w^2]``.

    It is worked out in the graph, as the published code does, and is a constant to be folded.
    """
    regions = like.new_zeros((1, height, width, 1))
    spans = (slice(0, -window), slice(-window, -shift), slice(-shift, None))
    count = 0
    for rows in spans:
        for columns in spans:
            regions[:, rows, columns, :] = count
            count += 1
    flat = to_windows(regions, window).view(-1, window * window)
    apart = flat[:, None, :] != flat[:, :, None]
    return torch.zeros_like(apart, dtype=like.dtype).masked_fill(apart, -100.0)


def _pair_index(window: int) -> Tensor:
    """Row of the bias table for each pair of positions in a window."""
    axis = torch.arange(window)
    points = torch.stack(torch.meshgrid(axis, axis, indexing="ij")).flatten(1)
    offsets = points[:, :, None] - points[:, None, :] + (window - 1)
    return (offsets[0] * (2 * window - 1) + offsets[1]).flatten()


class WindowAttention(nn.Module):
    """Attention inside windows, with a learned bias for each relative position."""

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.scale = (width // heads) ** -0.5
        self.qkv = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.output.gain = 0.5  # type: ignore[assignment]
        self.bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("pairs", _pair_index(window), persistent=False)
        self.pairs: Tensor

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        scores = torch.matmul(q * self.scale, k.transpose(-2, -1))
        bias = self.bias_table[self.pairs].view(tokens, tokens, self.heads)
        scores = scores + bias.permute(2, 0, 1).unsqueeze(0)
        if mask is not None:
            windows = mask.shape[0]
            scores = scores.view(-1, windows, self.heads, tokens, tokens) + mask[None, :, None]
            scores = scores.view(-1, self.heads, tokens, tokens)
        context = torch.matmul(torch.softmax(scores, dim=-1), v)
        out: Tensor = self.output(merge_heads(context))
        return out


class Block(nn.Module):
    """Windowed attention, shifted or not, and a feed-forward."""

    def __init__(self, width: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.attention_norm = nn.LayerNorm(width)
        self.attention = WindowAttention(width, heads, window)
        self.mlp_norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        self.down.gain = 0.5  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._attend(self.attention_norm(x))
        out: Tensor = x + self.down(nn.functional.gelu(self.up(self.mlp_norm(x))))
        return out

    def _attend(self, x: Tensor) -> Tensor:
        _, height, width, _ = x.shape
        shift = self.shift if height > self.window else 0
        mask = None
        if shift:
            x = torch.roll(x, shifts=(-shift, -shift), dims=(1, 2))
            mask = shift_mask(height, width, self.window, shift, x)
        y = self.attention(to_windows(x, self.window), mask)
        y = from_windows(y, self.window, height, width)
        return torch.roll(y, shifts=(shift, shift), dims=(1, 2)) if shift else y


class PatchMerging(nn.Module):
    """Joins each 2x2 of patches and halves the joined width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduce = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        corners = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        out: Tensor = self.reduce(self.norm(torch.cat(corners, dim=-1)))
        return out


class Swin(nn.Module):
    """4x4 patches, stages of windowed blocks with merging in between, average, head."""

    def __init__(
        self,
        depths: tuple[int, ...],
        heads: tuple[int, ...],
        width: int,
        window: int,
        classes: int,
    ) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, stride=4)
        self.patch_norm = nn.LayerNorm(width)
        layers: list[nn.Module] = []
        for stage, (depth, count) in enumerate(zip(depths, heads, strict=True)):
            if stage:
                layers.append(PatchMerging(width << (stage - 1)))
            for i in range(depth):
                layers.append(Block(width << stage, count, window, window // 2 if i % 2 else 0))
        self.layers = nn.ModuleList(layers)
        last = width << (len(depths) - 1)
        self.norm = nn.LayerNorm(last)
        self.head = nn.Linear(last, classes)

    def forward(self, pixel_values: Tensor) -> Tensor:
        x = self.patch_norm(self.patches(pixel_values).permute(0, 2, 3, 1))
        for layer in self.layers:
            x = layer(x)
        logits: Tensor = self.head(self.norm(x).mean((1, 2)))
        return logits


def build(config: Config) -> nn.Module:
    """The network for one configuration of the catalog."""
    depths, heads = config["depths"], config["heads"]
    assert isinstance(depths, tuple)
    assert isinstance(heads, tuple)
    return Swin(
        depths, heads, number(config, "width"), number(config, "window"), number(config, "classes")
    )
