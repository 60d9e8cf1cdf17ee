"""Values whose outlying channels can be divided: those that products with constant weights read."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from onnxopt.pipeline.base import Context
from onnxopt.rewrite.editor import where
from onnxopt.rewrite.scopes import owner
from onnxopt.rewrite.uses import use_count

from .._selection import Selection
from ..dynamic._dense import dense
from ._layers import STANDARD
from ._reach import NORMS
from ._readers import Product, is_candidate
from ._sources import Part, Sources


@dataclass(frozen=True)
class Tameable:
    """A value, and the products for which it can be divided.

    Attributes:
        value: float32 [..., channels].
        products: All of them share the division.
        channels: The number of channels.
    """

    value: ir.Value
    products: list[Product]
    channels: int

    @property
    def name(self) -> str:
        """The value's name."""
        return self.value.name or ""

    @property
    def place(self) -> str:
        """What to call it before users: the first product that reads it."""
        return where(self.products[0].node)

    def chosen(self, selection: Selection) -> Tameable | None:
        """The same without the products that a user leaves out; None where nothing remains."""
        taken = [p for p in self.products if not selection.refusal(p.node)]
        return Tameable(self.value, taken, self.channels) if taken else None

    def folds(self, context: Context) -> list[Part]:
        """The constants of a normalisation that take the division; none where something else reads the value, too."""
        producer = self.value.producer()
        nodes = {product.node for product in self.products}
        if producer is None or producer.op_type not in NORMS or self.value.is_graph_output():
            return []
        if any(node not in nodes for node, _ in self.value.uses()):
            return []
        parts = Sources(context.facts, self.channels, context.model.graph).of(self.value)
        return [] if isinstance(parts, str) else parts


def tameables(context: Context, rule: str) -> list[Tameable]:
    """Finds the values in the main graph, in order; what stands against others is recorded."""
    facts, graph = context.facts, context.model.graph
    found: dict[ir.Value, Tameable] = {}
    for node in graph:
        if node.op_type not in ("MatMul", "Gemm") or node.domain not in STANDARD:
            continue
        product = _product(context, node)
        if isinstance(product, str):
            context.stats.decline(rule, where(node), product)
            continue
        value = node.inputs[0]
        assert value is not None
        count = product.inputs(facts)
        found.setdefault(value, Tameable(value, [], count)).products.append(product)
    return [group for group in found.values() if _in_reach(group, graph)]


def _product(context: Context, node: ir.Node) -> Product | str:
    facts = context.facts
    read = dense(facts, node)
    if isinstance(read, str):
        return read
    assert is_candidate(facts, node)
    if use_count(read.weight) != 1:
        return "its weights are read elsewhere, too"
    shape = facts.shape(read.x)
    if shape is None or shape[-1:] != (read.inner,):
        return "the channels of what it reads are not known"
    return Product(node, read.transposed)


def _in_reach(group: Tameable, graph: ir.Graph) -> bool:
    """Whether a node can stand between the value and the products."""
    producer = group.value.producer()
    return producer is None or owner(producer) is graph
