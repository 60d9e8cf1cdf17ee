"""``Sum`` for ``Add`` before a normalisation, which keeps a runtime from fusing both.

``a + b`` by either name; onnxruntime looks for ``Add`` when it fuses a sum and the normalisation of it into
``SkipLayerNormalization``. Declines for targets on which that is not known to be slower.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, op, rule

_NORMS = frozenset({"LayerNormalization"})


@rule(op.Add("a", "b", bind="add"), exact=True)
def lower_sum_before_norm(m: Match, build: Builder) -> ir.Value | Skip:
    """Spell a sum that is normalised as ``Sum``, where the runtime's fused operator is slower.

    Declines where the target has nothing against that operator, for sums that nothing normalises, and for constant
    summands.

    Example: LayerNormalization(Add(a, b), gamma, beta) -> LayerNormalization(Sum(a, b), gamma, beta)
    """
    if "SkipLayerNormalization" not in m.target.avoid:
        return Skip("the target has nothing against SkipLayerNormalization")
    users = (node for node, _ in m.node("add").outputs[0].uses())
    if not any(node.op_type in _NORMS and node.domain == "" for node in users):
        return Skip("nothing normalises the sum")
    if any(m.facts.const_tensor(m.value(name)) is not None for name in ("a", "b")):
        return Skip("a summand is a constant")
    return build.op("Sum", m.value("a"), m.value("b"))
