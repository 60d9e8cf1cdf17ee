"""Scatters that overwrite everything.

Exporters write an assignment to a whole tensor, ``x[:] = y``, as a scatter to each of its rows.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, Skip, op, rule


@rule(op.ScatterND("x", Const("indices"), "updates"), exact=True)
def remove_scatter(m: Match, build: Builder) -> ir.Value | Skip:
    """Take the updates of a scatter that overwrites every row, in order.

    Declines where updates and data are combined, where the number of rows is not known, and where rows are left
    out or come in another order.

    Example: ScatterND(float[2,3] x, [[0],[1]], updates) -> updates
    """
    if m.attr(m.root, "reduction", "none") != "none":
        return Skip("the updates are combined with the data")
    rows = next(iter(m.shape("x")), None)
    if not isinstance(rows, int):
        return Skip("the number of rows is not known")
    indices = m.const("indices")
    if indices.shape != (rows, 1):
        return Skip("it leaves rows out, or updates parts of them")
    taken = indices.reshape(-1)
    if not np.array_equal(np.where(taken < 0, taken + rows, taken), np.arange(rows)):
        return Skip("the order changes")
    return m.value("updates")
