"""Residual networks in the 18-layer (basic) and 50-layer (bottleneck) styles."""

from __future__ import annotations

from torch import Tensor, nn

from models.nets.common import ConvNorm
from models.spec import Config


class Residual(nn.Module):
    """``relu(branch(x) + shortcut(x))``; the shortcut projects where the shape changes."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu(self.branch(x) + self.shortcut(x))
        return out


def _branch(block: str, channels_in: int, width: int, stride: int) -> tuple[nn.Module, int]:
    if block == "basic":
        return nn.Sequential(
            ConvNorm(channels_in, width, 3, stride, activation=nn.ReLU()),
            ConvNorm(width, width, 3, gain=0.3),
        ), width
    return nn.Sequential(
        ConvNorm(channels_in, width, 1, activation=nn.ReLU()),
        ConvNorm(width, width, 3, stride, activation=nn.ReLU()),
        ConvNorm(width, 4 * width, 1, gain=0.3),
    ), 4 * width


class ResNet(nn.Module):
    """Stem, stages of residual blocks, global average pooling, linear head."""

    def __init__(self, block: str, depths: tuple[int, ...], width: int, classes: int) -> None:
        super().__init__()
        self.stem = ConvNorm(3, width, 7, 2, activation=nn.ReLU())
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        blocks: list[nn.Module] = []
        channels = width
        for stage, depth in enumerate(depths):
            for i in range(depth):
                stride = 2 if stage and not i else 1
                branch, out = _branch(block, channels, width << stage, stride)
                same = stride == 1 and channels == out
                shortcut = nn.Identity() if same else ConvNorm(channels, out, 1, stride)
                blocks.append(Residual(branch, shortcut))
                channels = out
        self.blocks = nn.Sequential(*blocks)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(channels, classes)

    def forward(self, pixel_values: Tensor) -> Tensor:
        x = self.average(self.blocks(self.pool(self.stem(pixel_values))))
        logits: Tensor = self.head(x.flatten(1))
        return logits


def build(config: Config) -> nn.Module:
    """The network for one configuration of the catalog."""
    keys = ("block", "depths", "width", "classes")
    return ResNet(**{k: config[k] for k in keys})  # type: ignore[arg-type]
