"""U-Net: encoder, decoder with ConvTranspose, skip connections by Concat."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.nets.common import ConvNorm
from models.spec import Config, number


def _double(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        ConvNorm(channels_in, channels_out, 3, activation=nn.ReLU()),
        ConvNorm(channels_out, channels_out, 3, activation=nn.ReLU()),
    )


class Up(nn.Module):
    """Doubles the image, normalises, joins the skip connection, convolves twice."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.up = nn.ConvTranspose2d(channels, half, 2, stride=2)
        self.norm = nn.BatchNorm2d(half)
        self.convs = _double(channels, half)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        raised = torch.relu(self.norm(self.up(x)))
        out: Tensor = self.convs(torch.cat([skip, raised], dim=1))
        return out


class UNet(nn.Module):
    """An image in, a score for each class and pixel out."""

    def __init__(self, depth: int, width: int, classes: int) -> None:
        super().__init__()
        self.first = _double(3, width)
        self.downs = nn.ModuleList(
            nn.Sequential(nn.MaxPool2d(2), _double(width << i, width << (i + 1)))
            for i in range(depth)
        )
        self.ups = nn.ModuleList(Up(width << i) for i in range(depth, 0, -1))
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, pixel_values: Tensor) -> Tensor:
        skips = [self.first(pixel_values)]
        for down in self.downs:
            skips.append(down(skips[-1]))
        x: Tensor = skips.pop()
        for up in self.ups:
            x = up(x, skips.pop())
        masks: Tensor = self.head(x)
        return masks


def build(config: Config) -> nn.Module:
    """The network for one configuration of the catalog."""
    return UNet(number(config, "depth"), number(config, "width"), number(config, "classes"))
