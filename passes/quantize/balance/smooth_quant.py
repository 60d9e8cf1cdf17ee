"""SmoothQuant: large channels of what products read, moved into the weights that read them.

(x / s) (s W) = x W, with s_j = max|x_j|^alpha / max|W_j|^(1 - alpha). The division goes into what makes x: the scale of a
normalisation, a constant factor, or the weights of a product before. Declines where something else reads x, too, or where
nothing before it takes the division.

Source: Xiao et al., SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models, 2022.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import onnx_ir as ir

from onnxopt.errors import UsageError
from onnxopt.pipeline.base import Array, Context, Pass
from onnxopt.quantization.smoothing import (
    Activation,
    Steps,
    best_smoothing,
    row_magnitudes,
    smoothing,
)
from onnxopt.quantization.wants import Wants
from onnxopt.rewrite import where
from onnxopt.rewrite.scopes import differentiates

from ._readers import Product, is_candidate, products_of
from ._scaling import admitted
from ._sources import Part, Sources

if TYPE_CHECKING:
    from onnxopt.quantization.observers import TensorStatistics
    from onnxopt.quantization.statistics import Statistics

RULE = "smooth-quant"
_AUTO = "auto"
_ONE_SIDED = Steps(activation=255)
"""Values of one sign have all of an unsigned type to themselves."""
_LEVEL = 0.02
"""Below this factor of every channel, as a logarithm, nothing is scaled."""


@dataclass(frozen=True)
class SmoothQuant(Pass):
    """Divides what products read by a factor a channel, and multiplies the rows of their weights by it.

    Attributes:
        alpha: How much goes to the weights, from 0 to 1; ``auto`` picks it for each value by the least expected error.

    Example: MatMul(LayerNormalization(x, g, b), w) -> MatMul(LayerNormalization(x, g / s, b / s), s w)
    """

    name: ClassVar[str] = RULE
    summary: ClassVar[str] = "Move large channels of activations into the weights that read them."
    exact: ClassVar[bool] = False
    alpha: str = "0.5"

    def run(self, context: Context) -> int:
        """Scales what can be scaled in the main graph.

        Args:
            context: The model and the services.

        Returns:
            The number of values that were divided.

        Raises:
            UsageError: There is no calibration data, or ``alpha`` is none.
        """
        alpha = _alpha(self.alpha)
        if context.observe is None:
            raise UsageError(f"{RULE} needs calibration data: give --calibrate")
        if differentiates(context.model):
            return 0
        groups = _groups(context)
        if not groups:
            return 0
        wants = {group.name: Wants(channels=-1) for group in groups}
        statistics = context.observe(context.model, wants)
        # From the last: what divides the columns of a matrix must come before the look at its rows.
        return sum(_smooth(context, group, statistics, alpha) for group in reversed(groups))


@dataclass(frozen=True)
class _Group:
    """A value, what is divided for it, and what reads it."""

    value: ir.Value
    parts: list[Part]
    products: list[Product]

    @property
    def name(self) -> str:
        """The value's name."""
        return self.value.name or ""

    @property
    def place(self) -> str:
        """What to call it before users: the first product that reads it."""
        return where(self.products[0].node)


def _alpha(text: str) -> float | None:
    """Reads the option; None for ``auto``."""
    if text == _AUTO:
        return None
    try:
        alpha = float(text)
    except ValueError:
        alpha = -1.0
    if not 0.0 <= alpha <= 1.0:
        raise UsageError(f"{RULE}: alpha takes a number from 0 to 1 or {_AUTO!r}, not {text!r}")
    return alpha


def _groups(context: Context) -> list[_Group]:
    facts, graph = context.facts, context.model.graph
    read: dict[ir.Value, ir.Node] = {}
    for node in graph:
        if is_candidate(facts, node) and node.inputs[0] is not None:
            read.setdefault(node.inputs[0], node)
    groups = []
    for value, node in read.items():
        found = _group(context, value)
        if isinstance(found, str):
            context.stats.decline(RULE, where(node), found)
        else:
            groups.append(found)
    return groups


def _group(context: Context, value: ir.Value) -> _Group | str:
    facts, graph = context.facts, context.model.graph
    products = products_of(facts, value, graph)
    if isinstance(products, str):
        return products
    parts = Sources(facts, products[0].inputs(facts), graph).of(value)
    return parts if isinstance(parts, str) else _Group(value, parts, products)


def _smooth(context: Context, group: _Group, statistics: Statistics, alpha: float | None) -> int:
    found = statistics.tensors.get(group.name)
    channels = None if found is None else found.channels
    count = group.products[0].inputs(context.facts)
    if found is None or channels is None or channels.largest is None:
        context.stats.decline(RULE, group.place, "no sample reached what it reads")
        return 0
    if len(channels.largest) != count:
        context.stats.decline(RULE, group.place, "the statistics are of other channels")
        return 0
    factor = _factor(context, group, found, alpha)
    if float(np.abs(np.log(factor)).max(initial=0.0)) < _LEVEL:
        context.stats.decline(RULE, group.place, "no scaling is expected to help")
        return 0
    if not admitted(context, RULE, group.place):
        return 0
    for part in group.parts:
        part.divide(context, RULE, factor)
    for product in group.products:
        product.multiply(context, RULE, factor)
    return 1


def _factor(context: Context, group: _Group, seen: TensorStatistics, alpha: float | None) -> Array:
    channels = seen.channels
    assert channels is not None
    assert channels.largest is not None
    weights = [_reading(context, product) for product in group.products]
    if alpha is not None:
        return smoothing(channels.largest, row_magnitudes(weights), alpha)
    activation = Activation(channels.largest, channels.squares / max(channels.count, 1))
    one_sided = seen.low >= 0.0 or seen.high <= 0.0
    return best_smoothing(activation, weights, _ONE_SIDED if one_sided else Steps())[1]


def _reading(context: Context, product: Product) -> Callable[[], Array]:
    return lambda: product.matrix(context.facts)
