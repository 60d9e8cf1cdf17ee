"""What a reference model is, as data: its inputs, outputs, symbolic dims and sizes (no torch)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
Config = Mapping[str, int | float | str | tuple[int, ...]]
Kind = Literal["normal", "ids", "mask", "positions", "segments"]
Exporter = Literal["torchscript", "dynamo"]
EXPORTERS: tuple[Exporter, ...] = ("torchscript", "dynamo")
Attention = Literal["sdpa", "eager"]
ATTENTIONS: tuple[Attention, ...] = ("sdpa", "eager")
SIZES = ("tiny", "small", "full")


@dataclass(frozen=True)
class InputSpec:
    """One graph input.

    Attributes:
        name: Name of the graph input.
        shape: Dims; a string is a symbolic dim, ``"a + b"`` the sum of two of them.
        kind: What the values mean, which decides how samples are drawn.
        high: For ``ids`` and ``segments``, one more than the largest index.
    """

    name: str
    shape: tuple[int | str, ...]
    kind: Kind = "normal"
    high: int = 0

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """float32 for values, int64 for everything that indexes or masks."""
        return np.dtype(np.float32 if self.kind == "normal" else np.int64)


@dataclass(frozen=True)
class Limit:
    """A form of export that torch does not write, or not so that it computes the same.

    Attributes:
        exporter: The exporter.
        opset: The lowest operator set that it can export to.
        reason: Why not below, to follow a colon.
        attention: The implementation of attention it holds for; all when None.
    """

    exporter: Exporter
    opset: int
    reason: str
    attention: Attention | None = None


@dataclass(frozen=True)
class Reference:
    """A reference architecture in all its sizes.

    Attributes:
        name: Name on the command line.
        summary: One line for listings.
        configs: Hyperparameters for each of :data:`SIZES`.
        inputs: The graph inputs for one configuration.
        outputs: The output names for one configuration.
        dims: The size each symbolic dim has in the example inputs, for one configuration.
        output_axes: Symbolic dims of the outputs, for one configuration.
        specialised: Symbolic dims that torch.export can only trace at one size.
        module: The module whose ``build`` makes the network; ``models.nets.NAME`` when empty.
        attentions: The implementations of attention to choose from, the default first; none where
            the network has only one, or no attention.
        limits: What its exports cannot be.
    """

    name: str
    summary: str
    configs: Mapping[str, Config]
    inputs: Callable[[Config], tuple[InputSpec, ...]]
    outputs: Callable[[Config], tuple[str, ...]]
    dims: Callable[[Config], dict[str, int]]
    output_axes: Callable[[Config], dict[str, dict[int, str]]] = field(default=lambda _: {})
    specialised: tuple[str, ...] = ()
    module: str = ""
    attentions: tuple[Attention, ...] = ()
    limits: tuple[Limit, ...] = ()


def number(config: Config, key: str) -> int:
    """The whole number that ``config`` holds under ``key``."""
    value = config[key]
    if not isinstance(value, int):
        raise TypeError(f"{key} is {value!r}, expected a whole number")
    return value


def several(config: Config, key: str) -> tuple[int, ...]:
    """The whole numbers that ``config`` holds under ``key``, such as one for each stage."""
    value = config[key]
    if not isinstance(value, tuple):
        raise TypeError(f"{key} is {value!r}, expected whole numbers")
    return value


def height_and_width(config: Config, key: str = "image") -> tuple[int, int]:
    """Both sides of an image, given as two numbers or, for a square one, as one."""
    value = config[key]
    if isinstance(value, tuple):
        height, width = value
        return height, width
    side = number(config, key)
    return side, side


def dim_size(dim: int | str, sizes: Mapping[str, int]) -> int:
    """The size of one dim of an :class:`InputSpec`, given the sizes of the symbolic ones."""
    if isinstance(dim, int):
        return dim
    return sum(sizes[part.strip()] for part in dim.split("+"))


def dynamic_axes(reference: Reference, config: Config) -> dict[str, dict[int, str]]:
    """Symbolic dims by input and output name, in the form ``torch.onnx.export`` takes."""
    axes = {
        spec.name: {i: d for i, d in enumerate(spec.shape) if isinstance(d, str)}
        for spec in reference.inputs(config)
    }
    axes.update(reference.output_axes(config))
    return {name: dims for name, dims in axes.items() if dims}
