"""What is quantised to 8-bit floats: the operands of products and convolutions, and nothing else.

Kernels for such floats multiply them and give wider floats. So results stay as they are, biases too, and what joins or moves values
computes with them unrounded.

There are no zero points, and none is written, which takes opset 21: onnxruntime (1.32) takes a Relu before a QuantizeLinear away where
the zero point is 0 and the type is not one of the integers it knows, and results are wrong then.
"""

from __future__ import annotations

from dataclasses import replace

from onnxopt.quantization.table import Quantization

from ._scales import Scheme


def table_for(table: Quantization, scheme: Scheme) -> Quantization:
    """A target's table as it is for the types asked for."""
    if not scheme.floating:
        return table
    none = frozenset[str]()
    weighted = {name: replace(form, output=False) for name, form in table.weighted.items()}
    return replace(table, weighted=weighted, joined=none, carried=none, absorbed=none, stored={})
