"""What validation needs to know of a model beyond its inputs: randomness, precision, size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from onnxopt.runtime.feedio import Feed

_RANDOM = {
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Multinomial",
    "Bernoulli",
}
_KNOWN_DOMAINS = {
    "",
    "ai.onnx",
    "ai.onnx.ml",
    "com.microsoft",
    "com.microsoft.nchwc",
    "ai.onnx.preview",
}
_SMALL_NODES = 500
_SMALL_PARAMETERS = 4_000_000
_MAX_OVERRIDE_BYTES = 16 << 20


@dataclass(frozen=True)
class Traits:
    """What validation needs to know of the reference, apart from its inputs.

    Attributes:
        randomness: see `randomness`.
        precision: see `precision`.
        small: see `is_small`.
        overrides: see `overrides`.
    """

    randomness: str
    precision: str | None
    small: bool
    overrides: Feed

    @staticmethod
    def of(model: ir.Model, seed: int = 0) -> Traits:
        """Collect them; no weight is read but small overridable ones."""
        return Traits(randomness(model), precision(model), is_small(model), overrides(model, seed))


def all_nodes(model: ir.Model) -> Iterator[ir.Node]:
    """Every node: of the graph, its subgraphs and the functions."""
    yield from model.graph.all_nodes()
    for function in model.functions.values():
        yield from function.all_nodes()


def randomness(model: ir.Model) -> str:
    """'random' with random operators, 'unknown' with operators of unknown domains, else 'none'."""
    found = "none"
    for node in all_nodes(model):
        if node.op_type in _RANDOM or (node.op_type == "Dropout" and len(node.inputs) > 2):
            return "random"
        known = node.domain in _KNOWN_DOMAINS or node.op_identifier() in model.functions
        if not known:
            found = "unknown"
    return found


def precision(model: ir.Model) -> str | None:
    """The coarsest 16-bit float type that weights, inputs or casts of the model use, if any."""
    used = {value.dtype for value in model.graph.inputs}
    used |= {value.dtype for value in model.graph.initializers.values()}
    for node in all_nodes(model):
        to = node.attributes.get("to") if node.op_type == "Cast" else None
        if to is not None and not to.is_ref():
            used.add(ir.DataType(to.as_int()))
        value = node.attributes.get("value") if node.op_type == "Constant" else None
        if value is not None and not value.is_ref():
            used.add(value.as_tensor().dtype)
    if ir.DataType.BFLOAT16 in used:
        return "bfloat16"
    return "float16" if ir.DataType.FLOAT16 in used else None


def is_small(model: ir.Model) -> bool:
    """Small enough for the reference evaluator, which is orders of magnitude slower."""
    nodes = sum(1 for _ in all_nodes(model))
    tensors = [value.const_value for value in model.graph.initializers.values()]
    parameters = sum(int(tensor.size) for tensor in tensors if tensor is not None)
    return nodes <= _SMALL_NODES and parameters <= _SMALL_PARAMETERS


def overrides(model: ir.Model, seed: int) -> Feed:
    """Perturbed values for initializers a caller may override (inputs too, IR version 4 and up).

    Args:
        model: the model; only small float initializers that are inputs are read.
        seed: seed of the perturbation.

    Returns:
        Input name -> the initializer's value with each element changed by about a tenth.
    """
    if model.ir_version < 4:
        return {}
    rng = np.random.default_rng((seed, 13))
    feed: Feed = {}
    for value in model.graph.inputs:
        initializer = model.graph.initializers.get(value.name or "")
        tensor = None if initializer is None else initializer.const_value
        if tensor is None or tensor.nbytes > _MAX_OVERRIDE_BYTES:
            continue
        if tensor.dtype in (ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16):
            array = tensor.numpy()
            factor = 1 + 0.1 * rng.uniform(-1.0, 1.0, array.shape)
            feed[value.name or ""] = (array * factor).astype(array.dtype)
    return feed
