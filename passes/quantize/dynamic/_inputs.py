"""Activations in integers: one ``DynamicQuantizeLinear`` for all that read a value in one graph.

Bodies have their own: a node after the one that holds the body may not be read in it, and copies cost nothing that
onnxruntime would not spend, since it merges them where it may.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from onnxopt.pipeline.base import Context
from onnxopt.rewrite import Builder, Rewrite
from onnxopt.rewrite.scopes import owner

from .._marking import mark_dynamic

RULE = "quantize-dynamic"


@dataclass(frozen=True)
class Quantised:
    """A value in integers: uint8 of its shape, and its scale (float32) and zero point (uint8), both scalars."""

    integers: ir.Value
    scale: ir.Value
    zero: ir.Value


@dataclass
class Inputs:
    """The activations quantised so far.

    Args:
        context: The model.
    """

    context: Context
    _made: dict[tuple[ir.Value, ir.Graph], Quantised] = field(default_factory=dict)

    def quantised(self, build: Builder, node: ir.Node, value: ir.Value) -> Quantised:
        """An input of a node in integers; made in the builder unless an earlier node has it."""
        known = self._made.get((value, owner(node)))
        if known is not None:
            return known
        return Quantised(*build.ops("DynamicQuantizeLinear", value, outputs=3))

    def commit(
        self,
        build: Builder,
        node: ir.Node,
        value: ir.Value,
        quantised: Quantised,
        result: ir.Value,
        constants: Sequence[ir.Value],
    ) -> bool:
        """Lets the nodes of a builder take the place of a node.

        That a weight others read in float32 stays beside its integers is what was asked for, so that the growth of the
        model isn't held against the rewrite.

        Args:
            build: Holds the nodes.
            node: The node they stand for.
            value: Its input.
            quantised: That in integers.
            result: What stands for the node's first output.
            constants: The new initializers, but for those that are put elsewhere.

        Returns:
            Whether it was done; the editor records why not.
        """
        graph = owner(node)
        rewrite = Rewrite(
            RULE,
            node,
            [(node.outputs[0], result)],
            [node],
            tuple(build.nodes),
            tuple(constants),
            settled=True,
        )
        if self.context.editor.commit(rewrite) is None:
            build.discard()
            return False
        mark_dynamic(rewrite.nodes)
        self._made[(value, graph)] = quantised
        return True


def scaled(build: Builder, integers: ir.Value, x_scale: ir.Value, scale: ir.Value) -> ir.Value:
    """Sums in int32 as float32: ``integers * (x_scale * scale)``, in the order that onnxruntime fuses.

    Args:
        build: Takes the nodes.
        integers: The sums.
        x_scale: The scale of the activations, a scalar.
        scale: The scale of the weights, which broadcasts to the sums.
    """
    real = build.op("Cast", integers, to=int(ir.DataType.FLOAT))
    return build.op("Mul", real, build.op("Mul", x_scale, scale))
