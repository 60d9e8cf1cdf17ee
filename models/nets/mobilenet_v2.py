"""MobileNetV2: inverted residuals with depthwise convolutions, linear bottlenecks, ReLU6."""

from __future__ import annotations

from torch import Tensor, nn

from models.nets.common import ConvNorm
from models.spec import Config, number

# Expansion, channels, repeats and first stride of each stage, as published.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def _scaled(channels: int, percent: int) -> int:
    """Channels at a width multiplier, a multiple of 8 and at least 90 % of what was asked."""
    wanted = channels * percent / 100
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


class InvertedResidual(nn.Module):
    """Expand, depthwise convolution, project; added to the input where the shape allows."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, expansion: int) -> None:
        super().__init__()
        self.residual = stride == 1 and channels_in == channels_out
        hidden = channels_in * expansion
        gain = 0.3 if self.residual else 1.0
        parts = [ConvNorm(channels_in, hidden, 1, activation=nn.ReLU6())] if expansion > 1 else []
        self.branch = nn.Sequential(
            *parts,
            ConvNorm(hidden, hidden, 3, stride, groups=hidden, activation=nn.ReLU6()),
            ConvNorm(hidden, channels_out, 1, gain=gain),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.branch(x)
        return x + out if self.residual else out


class MobileNetV2(nn.Module):
    """Stem, the first ``stages`` stages at a width of ``percent``, last convolution, head."""

    def __init__(self, stages: int, percent: int, classes: int) -> None:
        super().__init__()
        channels = _scaled(32, percent)
        layers: list[nn.Module] = [ConvNorm(3, channels, 3, 2, activation=nn.ReLU6())]
        for expansion, width, repeats, stride in STAGES[:stages]:
            out = _scaled(width, percent)
            for i in range(repeats):
                layers.append(InvertedResidual(channels, out, 1 if i else stride, expansion))
                channels = out
        last = 1280 * max(percent, 100) // 100 if stages == len(STAGES) else 4 * channels
        layers.append(ConvNorm(channels, last, 1, activation=nn.ReLU6()))
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(last, classes)

    def forward(self, pixel_values: Tensor) -> Tensor:
        x = self.features(pixel_values).mean((2, 3))
        logits: Tensor = self.head(self.dropout(x))
        return logits


def build(config: Config) -> nn.Module:
    """The network for one configuration of the catalog."""
    return MobileNetV2(
        number(config, "stages"), number(config, "percent"), number(config, "classes")
    )
