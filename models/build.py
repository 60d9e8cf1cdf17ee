"""From a name and a size to a torch module with example inputs."""

from __future__ import annotations

import importlib
import inspect
import zlib
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from models.catalog import REFERENCES
from models.sampling import draw
from models.spec import SIZES, Array, Attention, Config, Limit, Reference, dynamic_axes

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
            ``*args`` (such as the key/value cache).
        specialised: Symbolic dims that torch.export can only trace at the example inputs' size.
        limits: What its exports cannot be.
    """

    module: nn.Module
    example_inputs: tuple[Tensor, ...]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    dynamic_axes: dict[str, dict[int, str]]
    fixed_arguments: int
    specialised: tuple[str, ...]
    limits: tuple[Limit, ...]


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


def choose_attention(reference: Reference, wanted: Attention | None) -> Attention | None:
    """The implementation of attention to build ``reference`` with: ``wanted``, or its default.

    Returns:
        None for a model that offers no choice.

    Raises:
        ValueError: The model does not have the one wanted; the message lists what it has.
    """
    if wanted is None:
        return reference.attentions[0] if reference.attentions else None
    if wanted not in reference.attentions:
        there = ", ".join(reference.attentions) or "none to choose from"
        raise ValueError(f"{reference.name} has no attention {wanted!r}; there is {there}")
    return wanted


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


def build(
    name: str, size: str = "tiny", *, seed: int = 0, attention: Attention | None = None
) -> Built:
    """Build a reference model with deterministic weights.

    Args:
        name: Reference model.
        size: ``"tiny"``, ``"small"`` or ``"full"``.
        seed: Seed of the weights.
        attention: ``"sdpa"`` or ``"eager"``, for models of transformers that have both; the
            weights are the same. The first of :func:`models.attentions` when omitted.

    Raises:
        ValueError: There is no such model or size, or the model has no such attention.
        ImportError: torch, or for a model of transformers that package, is not installed.
    """
    reference, config = lookup(name, size)
    chosen = choose_attention(reference, attention)
    torch = require_torch()
    from models.weights import fill

    maker = require_maker(reference)
    module: nn.Module = maker.build(config, chosen) if chosen else maker.build(config)
    fill(module.eval(), seed)
    samples = sample_inputs(name, size)
    return Built(
        module.requires_grad_(False),
        tuple(torch.from_numpy(a) for a in samples.values()),
        tuple(samples),
        reference.outputs(config),
        dynamic_axes(reference, config),
        _named_arguments(module),
        reference.specialised,
        tuple(x for x in reference.limits if x.attention in (None, chosen)),
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


def require_maker(reference: Reference) -> ModuleType:
    """The module that builds ``reference``, or an error that says what it needs."""
    try:
        return importlib.import_module(reference.module or f"models.nets.{reference.name}")
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise ImportError(
            f"building {reference.name} needs transformers: pip install 'onnxopt[torch]'"
        ) from error


def _named_arguments(module: nn.Module) -> int:
    parameters = inspect.signature(module.forward).parameters.values()
    return sum(p.kind is not inspect.Parameter.VAR_POSITIONAL for p in parameters)
