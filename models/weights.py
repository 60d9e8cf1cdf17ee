"""Seeded random weights with the properties of trained ones: signed, scaled, no two norms alike.

Activations keep about unit size through any depth, so outputs compare well numerically, and
BatchNormalization has running statistics, scales and shifts that make folding visible.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def fill(module: nn.Module, seed: int) -> None:
    """Set every parameter and running statistic of ``module`` from one seed.

    Args:
        module: The network, changed in place.
        seed: The same seed gives the same weights (with the same version of torch).
    """
    rng = torch.Generator().manual_seed(seed)
    done: set[int] = set()
    with torch.no_grad():
        for part in module.modules():
            gain = float(getattr(part, "gain", 1.0))
            for name, tensor in part.named_parameters(recurse=False):
                if id(tensor) not in done:  # tied weights are filled once
                    done.add(id(tensor))
                    _fill_parameter(part, name, tensor, gain, rng)
            if isinstance(part, nn.BatchNorm2d):
                _fill_statistics(part, rng)


def _fill_parameter(
    part: nn.Module, name: str, tensor: Tensor, gain: float, rng: torch.Generator
) -> None:
    if name.startswith("bias"):
        tensor.normal_(0.0, 0.1, generator=rng)
    elif isinstance(part, nn.Embedding):
        tensor.normal_(0.0, 0.5, generator=rng)
    elif tensor.ndim == 1 and name == "weight":
        _fill_scale(tensor, gain, rng)
    elif tensor.ndim == 1 or not name.startswith("weight"):  # tokens, positions, tables of biases
        tensor.normal_(0.0, 0.2, generator=rng)
    else:
        fan_in = tensor.shape[0] if _input_major(part) else tensor[0].numel()
        tensor.normal_(0.0, gain * math.sqrt(1.5 / fan_in), generator=rng)


def _input_major(part: nn.Module) -> bool:
    """Whether the weight's first dim is that of the inputs: also in transformers' ``Conv1D``."""
    return isinstance(part, nn.ConvTranspose2d) or type(part).__name__ == "Conv1D"


def _fill_scale(tensor: Tensor, gain: float, rng: torch.Generator) -> None:
    """Scales of normalizations: around ``gain``, a few of them negative."""
    tensor.uniform_(0.6 * gain, 1.4 * gain, generator=rng)
    tensor[torch.rand(tensor.shape, generator=rng) < 0.15] *= -1.0


def _fill_statistics(part: nn.BatchNorm2d, rng: torch.Generator) -> None:
    assert part.running_mean is not None  # tracked by default
    assert part.running_var is not None
    part.running_mean.normal_(0.0, 0.3, generator=rng)
    part.running_var.uniform_(0.5, 2.0, generator=rng)
