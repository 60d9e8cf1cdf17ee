"""Sums with a residual before a normalisation, as ``SkipLayerNormalization`` and its kin take them.

The operators add ``input``, ``skip`` and a ``bias``, normalise the sum over the last axis, and give the sum out too. The
input has two or three axes. The skip has the input's last two; a third one before them is the input's or 1. What a kernel
does with others is undefined: onnxruntime's reads beyond the input where the skip's first axis is longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from onnxopt.analysis.dims import Dim
from onnxopt.rewrite import Builder, Declined, Match, op

from ._kernels import MICROSOFT

PLAIN_SUM = op.Add("a", "b", bind="sum", shared=True)
"""Two summands."""

BIASED_SUM = op.Add(op.Add("a", "bias", bind="biased"), "b", bind="sum", shared=True)
"""Two summands, a bias added to one before."""


@dataclass(frozen=True)
class Summands:
    """What is added, told apart.

    Attributes:
        data: The one that has the shape of the sum.
        skip: The other.
        bias: One number for each element of the last axis, or None.
    """

    data: ir.Value
    skip: ir.Value
    bias: ir.Value | None


def summands(m: Match) -> Summands:
    """Tells apart the summands of the matched sum.

    Raises:
        Declined: The operators do not add these shapes.
    """
    total = m.shape(sum_of(m))
    if len(total) not in (2, 3):
        raise Declined("the sum has neither two nor three axes")
    bias = m.maybe("bias")
    if bias is not None and m.facts.shape(bias) != total[-1:]:
        raise Declined("what is added first is no bias of the last axis")
    a, b = m.value("a"), m.value("b")
    for data, skip in ((a, b), (b, a)):
        if m.facts.shape(data) == total and _is_skip(m.facts.shape(skip), total):
            return Summands(data, skip, bias)
    raise Declined("the summands are not proven to have the same last two axes")


def _is_skip(shape: Sequence[Dim] | None, total: Sequence[Dim]) -> bool:
    if shape is None or not 2 <= len(shape) <= len(total):
        return False
    if tuple(shape[-2:]) != tuple(total[-2:]):
        return False
    return len(shape) == 2 or shape[0] == 1 or shape[0] == total[0]


def require_vector(m: Match, *names: str) -> None:
    """Declines unless each of some values that are present has one number for each normalised element."""
    width = m.shape(sum_of(m))[-1:]
    for name in names:
        if m.has(name) and m.facts.shape(m.value(name)) != width:
            raise Declined("scale or bias is not one number for each element of the last axis")


def sum_of(m: Match) -> ir.Value:
    """Returns the sum that is normalised."""
    return m.node("sum").outputs[0]


def build_skip_norm(
    m: Match, build: Builder, op_type: str, *scales: ir.Value | None, epsilon: float
) -> ir.Value:
    """Builds a normalisation of the matched sum; the sum itself is replaced where others read it.

    Args:
        m: The match.
        build: The builder.
        op_type: The operator.
        *scales: Its inputs between the skip and the bias.
        epsilon: What is added to the variance.
    """
    added = summands(m)
    total = sum_of(m)
    wanted = total.is_graph_output() or any(n not in m.nodes() for n, _ in total.uses())
    made = build.ops(
        op_type,
        *(added.data, added.skip, *scales, added.bias),
        outputs=4 if wanted else 1,
        domain=MICROSOFT,
        epsilon=epsilon,
    )
    if wanted:
        made[1].name = made[2].name = ""  # Statistics that nobody reads.
        build.replace(total, made[3])
    return made[0]
