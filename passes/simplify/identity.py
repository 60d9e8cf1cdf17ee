"""Operators that hand their input on: ``Identity``, and ``Dropout`` at inference."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, op, rule

from .._forms import input_of


@rule(op.Identity("x"), exact=True)
def remove_identity(m: Match, build: Builder) -> ir.Value:
    """Remove ``Identity``.

    Where the value is a graph output that no other node could produce, the node stays.

    Example: Identity(x) -> x
    """
    return m.value("x")


@rule(op.Dropout("x", ...), exact=True)
def remove_dropout(m: Match, build: Builder) -> Sequence[ir.Value | None] | Skip:
    """Remove ``Dropout`` at inference, where it hands its input on.

    From opset 12 on the third input says whether it trains; a ratio of zero drops nothing even then. Up
    to opset 6 it trains unless ``is_test`` is set. Declines where it trains or may train, and where the mask
    is in use.

    Example: Dropout(x, 0.5, false) -> x
    """
    if m.opset() < 7 and not m.attr(m.root, "is_test", 0):
        return Skip("it trains by default at this opset")
    training = input_of(m.root, 2)
    if training is not None and m.uniform(training) != 0 and not _drops_nothing(m):
        return Skip("it trains, or may")
    return [m.value("x"), None][: len(m.root.outputs)]


def _drops_nothing(m: Match) -> bool:
    ratio = input_of(m.root, 1)
    return ratio is not None and m.uniform(ratio) == 0
