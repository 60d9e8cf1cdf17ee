"""Shape arithmetic whose result is known, as constants; also where other dims are dynamic."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.context import TRACKED, Content
from onnxopt.analysis.facts import Facts
from onnxopt.rewrite import Builder, Match, Skip, op, rule
from onnxopt.rewrite.uses import use_count

_OPS = (
    "Shape", "Size", "Gather", "Concat", "Slice", "Unsqueeze", "Squeeze", "Reshape", "Flatten",
    "Cast", "CastLike", "Add", "Sub", "Mul", "Div", "Mod", "Min", "Max", "Neg", "Abs", "Sign",
    "Range", "Where", "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Not", "And",
    "Or", "Xor", "ConstantOfShape", "Expand", "Tile", "Split", "ReduceProd", "ReduceSum",
    "ReduceMax", "ReduceMin", "ScatterND", "ScatterElements", "GatherElements", "GatherND",
    "CumSum", "Pow", "Sum", "Transpose", "Clip",
)  # fmt: skip
_KNOWN = frozenset(_OPS)
_READERS = 16


@rule(op(*_OPS)(...), exact=True)
def fold_known_content(m: Match, build: Builder) -> ir.Value | Skip:
    """Replace integer arithmetic whose result is the same for all inputs of the model.

    The analysis follows small integer tensors symbolically, so the batch of a dynamic shape can be
    unknown while its channels are a number. Declines where any element is symbolic or unknown, and
    where all that reads the result is known as well: that folds, and this goes with it.

    Example: Gather(Shape(x), 1) with x of dims [N, 3, H, W] -> 3
    """
    value = m.root.outputs[0]
    dtype = m.facts.dtype(value)
    content = m.facts.content(value)
    if dtype not in TRACKED or content is None or dtype is None:
        return Skip("the result is no small integer tensor")
    numbers = _numbers(content)
    if numbers is None:
        return Skip("the result depends on dynamic dims")
    if not value.is_graph_output() and _only_feeds_known(value, m.facts):
        return Skip("all that reads it is known as well")
    shape = (len(numbers),) if isinstance(content, tuple) else ()
    return build.const("folded", np.array(numbers, dtype=dtype.numpy()).reshape(shape))


def _numbers(content: Content) -> list[int] | None:
    items = content if isinstance(content, tuple) else (content,)
    numbers = [item for item in items if isinstance(item, int)]
    return numbers if len(numbers) == len(items) else None


def _only_feeds_known(value: ir.Value, facts: Facts) -> bool:
    """Whether each reader of a value is a node this rule folds."""
    if use_count(value) > _READERS:
        return False
    for reader, _ in value.uses():
        if reader.op_type not in _KNOWN or reader.domain or len(reader.outputs) != 1:
            return False
        content = facts.content(reader.outputs[0])
        if content is None or _numbers(content) is None:
            return False
    return True
