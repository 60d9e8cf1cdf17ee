"""Cross-layer equalisation: the channels between two layers scaled so that the weights of both fill their range.

(W2 / c) f(c (W1 x + b1)) = W2 f(W1 x + b1) where f(c x) = c f(x) for c > 0, one c for each channel. Weights with one scale
for the whole tensor lose what their smallest channels hold; afterwards all channels are of like size. Declines where what
lies between is none of that kind (see `_links`), and where weights are shared.

Source: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from onnxopt.pipeline.base import Array, Context, Pass
from onnxopt.quantization.equalization import equalised
from onnxopt.rewrite import Rewrite, where
from onnxopt.rewrite.scopes import differentiates

from ._layers import KINDS, STANDARD, Layer, read_layer
from ._links import Link, find_link
from ._scaling import admitted

RULE = "equalize"
_LEVEL = 0.02
"""Below this change of every channel, as a logarithm, a chain is left as it is."""


@dataclass(frozen=True)
class Equalize(Pass):
    """Scales channels between layers that follow one another.

    Example: Conv(Relu(Conv(x, w)), v) -> Conv(Relu(Conv(x, c w)), v / c)
    """

    name: ClassVar[str] = RULE
    summary: ClassVar[str] = "Scale channels between layers so that their weights quantise well."
    exact: ClassVar[bool] = False

    def run(self, context: Context) -> int:
        """Scales what can be scaled, in every graph but those of functions.

        Args:
            context: The model and the services.

        Returns:
            The number of layers whose output channels were scaled.
        """
        if differentiates(context.model):
            return 0
        graphs = context.editor.scopes.graphs()
        own = [g for g in graphs if context.editor.scopes.of(g).function is None]
        return sum(_scale_chain(context, chain) for g in own for chain in _chains(context, g))


@dataclass(frozen=True)
class _Chain:
    """Layers that follow one another, and the ways between them."""

    layers: list[Layer]
    links: list[Link]


def _chains(context: Context, graph: ir.Graph) -> list[_Chain]:
    nodes = [n for n in graph if n.op_type in KINDS and n.domain in STANDARD]
    found = {node: read_layer(context.facts, node) for node in nodes}
    layers = {node: layer for node, layer in found.items() if isinstance(layer, Layer)}
    links: dict[ir.Node, Link] = {}
    for node, layer in found.items():
        link = layer if isinstance(layer, str) else find_link(context.facts, layer, found)
        if isinstance(link, str):
            context.stats.decline(RULE, where(node), link)
        else:
            links[node] = link
    reached = {link.reader for link in links.values()}
    chains = []
    for node in links:
        if node not in reached:
            chains.append(_follow(node, layers, links))
    return chains


def _follow(node: ir.Node, layers: dict[ir.Node, Layer], links: dict[ir.Node, Link]) -> _Chain:
    chain = _Chain([layers[node]], [])
    while node in links:
        chain.links.append(links[node])
        node = links[node].reader
        chain.layers.append(layers[node])
    return chain


def _scale_chain(context: Context, chain: _Chain) -> int:
    spreads = [1, *(link.spread for link in chain.links)]
    factors = equalised([x.ranges(s) for x, s in zip(chain.layers, spreads, strict=True)])
    place = where(chain.layers[0].node)
    if max(float(np.abs(np.log(f)).max(initial=0.0)) for f in factors) < _LEVEL:
        context.stats.decline(RULE, place, "the channels are level already")
        return 0
    if not all(_without_bound(context, clip) for link in chain.links for clip in link.clips):
        return 0
    if not admitted(context, RULE, place):
        return 0
    after: list[Array | None] = [*factors, None]
    before: list[Array | None] = [None]
    before += [np.repeat(f, s) for f, s in zip(factors, spreads[1:], strict=True)]
    for layer, outgoing, incoming in zip(chain.layers, after, before, strict=True):
        layer.scale(context, RULE, outgoing, incoming)
    return len(factors)


def _without_bound(context: Context, clip: ir.Node) -> bool:
    """Replaces a ``Clip`` that never reaches its upper bound by ``Relu``."""
    build = context.editor.builder(clip)
    made = build.op("Relu", clip.inputs[0])
    rewrite = Rewrite(RULE, clip, [(clip.outputs[0], made)], [clip], tuple(build.nodes))
    if context.editor.commit(rewrite) is None:
        build.discard()
        return False
    return True
