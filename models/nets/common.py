"""Pieces that several architectures share."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConvNorm(nn.Sequential):
    """Convolution, BatchNormalization and an optional activation.

    Args:
        channels_in: Input channels.
        channels_out: Output channels.
        kernel: Kernel size, one number or height and width.
        stride: Stride.
        groups: Convolution groups.
        activation: Module put after the normalization.
        gain: Typical magnitude of the normalization's scale; below 1 at the end of a residual
            branch, so that activations of random networks don't grow with depth.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int | tuple[int, int] = 1,
        stride: int = 1,
        groups: int = 1,
        activation: nn.Module | None = None,
        gain: float = 1.0,
    ) -> None:
        kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
        norm = nn.BatchNorm2d(channels_out)
        norm.gain = gain  # type: ignore[assignment]
        conv = nn.Conv2d(
            channels_in,
            channels_out,
            (kh, kw),
            stride=stride,
            padding=(kh // 2, kw // 2),
            groups=groups,
            bias=False,
        )
        super().__init__(conv, norm, *([activation] if activation is not None else []))


def split_heads(x: Tensor, heads: int) -> Tensor:
    """``[batch, sequence, width]`` to ``[batch, heads, sequence, width / heads]``."""
    batch, sequence, width = x.shape
    return x.view(batch, sequence, heads, width // heads).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """The inverse of :func:`split_heads`."""
    batch, heads, sequence, head_dim = x.shape
    return x.transpose(1, 2).reshape(batch, sequence, heads * head_dim)


def causal_mask(attention_mask: Tensor, positions: int, dtype: torch.dtype) -> Tensor:
    """What is added to the attention scores of a decoder with a cache.

    Args:
        attention_mask: ``[batch, total]``, 1 where a position counts.
        positions: How many of the last positions are queries.
        dtype: Type of the scores.

    Returns:
        ``[batch, 1, positions, total]``: 0 where a query may look, else the lowest number.
    """
    total = attention_mask.shape[1]
    keys = torch.arange(total, device=attention_mask.device)
    queries = torch.arange(positions, device=attention_mask.device) + (total - positions)
    causal = keys[None, :] <= queries[:, None]
    allowed = causal[None, None] & attention_mask[:, None, None, :].bool()
    lowest = torch.finfo(dtype).min
    return torch.zeros_like(allowed, dtype=dtype).masked_fill(~allowed, lowest)
