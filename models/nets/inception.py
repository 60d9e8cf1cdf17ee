"""Inception-like network: parallel branches joined by Concat, factorised convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.nets.common import ConvNorm
from models.spec import Config, number


def _conv(
    channels_in: int, channels_out: int, kernel: int | tuple[int, int] = 1, stride: int = 1
) -> ConvNorm:
    return ConvNorm(channels_in, channels_out, kernel, stride, activation=nn.ReLU())


class Mixed(nn.Module):
    """Four branches: 1x1; 1x1 then 1x7 and 7x1; two 3x3 in a row; average pooling and 1x1."""

    def __init__(self, channels_in: int, width: int) -> None:
        super().__init__()
        self.single = _conv(channels_in, width)
        self.factorised = nn.Sequential(
            _conv(channels_in, width // 2),
            _conv(width // 2, width, (1, 7)),
            _conv(width, width, (7, 1)),
        )
        self.twice = nn.Sequential(
            _conv(channels_in, width // 2), _conv(width // 2, width, 3), _conv(width, width, 3)
        )
        self.pooled = nn.Sequential(
            nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False),
            _conv(channels_in, width),
        )
        self.channels_out = 4 * width

    def forward(self, x: Tensor) -> Tensor:
        branches = (self.single, self.factorised, self.twice, self.pooled)
        return torch.cat([branch(x) for branch in branches], dim=1)


class Reduction(nn.Module):
    """Halves the image by a strided convolution and a max pooling, side by side."""

    def __init__(self, channels_in: int, width: int) -> None:
        super().__init__()
        self.strided = _conv(channels_in, width, 3, 2)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.channels_out = channels_in + width

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.strided(x), self.pool(x)], dim=1)


class Inception(nn.Module):
    """Stem, groups of mixed blocks with reductions in between, head."""

    def __init__(self, blocks: tuple[int, ...], width: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(3, width, 3, 2), _conv(width, width, 3)]
        channels = width
        for stage, count in enumerate(blocks):
            reduction = Reduction(channels, width)
            layers.append(reduction)
            channels = reduction.channels_out
            for _ in range(count):
                mixed = Mixed(channels, width * (stage + 1))
                layers.append(mixed)
                channels = mixed.channels_out
        self.features = nn.Sequential(*layers)
        self.average = nn.AdaptiveAvgPool2d((1, 1))
        self.head = nn.Linear(channels, classes)

    def forward(self, pixel_values: Tensor) -> Tensor:
        x = self.average(self.features(pixel_values))
        logits: Tensor = self.head(torch.flatten(x, 1))
        return logits


def build(config: Config) -> nn.Module:
    """The network for one configuration of the catalog."""
    blocks = config["blocks"]
    assert isinstance(blocks, tuple)
    return Inception(blocks, number(config, "width"), number(config, "classes"))
