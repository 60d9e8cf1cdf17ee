"""From a name and a size to a torch module with example inputs."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from models.catalog import REFERENCES
from models.sampling import draw
from models.spec import SIZES, Array, Config, Reference, dynamic_axes

if TYPE_CHECKING:
    from torch import Tensor, nn


class Built(NamedTuple):
    """A reference model, ready to run or export.

    Attributes:
        module: The network, in evaluation mode.
        example_inputs: One tensor per input.
        input_names: Names of the graph inputs, in order.
        output_names: Names of the graph outputs, in order.
        dynamic_axes: Symbolic dims by input and output name.
        fixed_arguments: How many inputs are named arguments of ``forward``; the rest are its
            ``*args`` (the key/value cache).
        specialised: Symbolic dims that torch.export can only trace at the example inputs' size.
    """

    module: nn.Module
    example_inputs: tuple[Tensor, ...]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    dynamic_axes: dict[str, dict[int, str]]
    fixed_arguments: int
    specialised: tuple[str, ...]


def lookup(name: str, size: str) -> tuple[Reference, Config]:
    """The reference called ``name`` and its hyperparameters at ``size``.

    Raises:
        ValueError: There is no such model or size; the message lists what there is.
    """
    if name not in REFERENCES:
        raise ValueError(f"no reference model {name!r}; there are {', '.join(REFERENCES)}")
    if size not in SIZES:
        raise ValueError(f"no size {size!r}; there are {', '.join(SIZES)}")
    reference = REFERENCES[name]
    return reference, reference.configs[size]


def sample_inputs(
    name: str, size: str = "tiny", seed: int = 0, *, dims: Mapping[str, int] | None = None
) -> dict[str, Array]:
    """Valid, signed inputs for a reference model. Needs no torch.

    Args:
        name: Reference model.
        size: ``"tiny"``, ``"small"`` or ``"full"``.
        seed: Different seeds give different values.
        dims: Sizes of symbolic dims that differ from the example inputs', such as ``{"batch": 3}``.

    Returns:
        Input name to array, in the order of the graph inputs.
    """
    reference, config = lookup(name, size)
    sizes = reference.dims(config) | dict(dims or {})
    rng = np.random.default_rng([zlib.crc32(name.encode()), seed])
    return {spec.name: draw(spec, sizes, rng) for spec in reference.inputs(config)}


def build(name: str, size: str = "tiny", *, seed: int = 0) -> Built:
    """Build a reference model with deterministic weights.

    Args:
        name: Reference model.
        size: ``"tiny"``, ``"small"`` or ``"full"``.
        seed: Seed of the weights.

    Raises:
        ValueError: There is no such model or size.
        ImportError: torch is not installed.
    """
    reference, config = lookup(name, size)
    torch = require_torch()
    from models.weights import fill

    module: nn.Module = importlib.import_module(f"models.nets.{name}").build(config).eval()
    fill(module, seed)
    samples = sample_inputs(name, size)
    return Built(
        module.requires_grad_(False),
        tuple(torch.from_numpy(a) for a in samples.values()),
        tuple(samples),
        reference.outputs(config),
        dynamic_axes(reference, config),
        sum(not n.startswith("past_key_values") for n in samples),
        reference.specialised,
    )


def require_torch() -> ModuleType:
    """torch, or an error that says how to get it."""
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "building a reference model needs torch: pip install 'onnxopt[torch]'"
        ) from error
    return torch
