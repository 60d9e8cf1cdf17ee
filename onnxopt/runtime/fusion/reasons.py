"""Why an operator still computes in float, in words.

Asked in order: does the runtime have a kernel at all; is everything around the operator quantised as the model wants it;
are the types ones that the kernel takes; what did the runtime put in its place.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from .kernels import CARRIERS, DEQUANTIZE, QUANTIZE, refusal

_WEIGHTED = frozenset({"Conv", "Gemm", "MatMul"})
_NEEDS_NO_RESULT = frozenset({"Gemm", "MatMul"})
_RECTIFIERS = frozenset({"Relu", "Clip"})
_GEMM_BY_CHANNEL = "MatMul + Add became a float Gemm: store its weights by block"
_EIGHT_BITS = (ir.DataType.UINT8, ir.DataType.INT8)


def reason_for(node: ir.Node, became: ir.Node | None, mode: str, provider: str) -> str:
    """Find why a node is no integer kernel.

    Args:
        node: the node in the model.
        became: what stands for it in the runtime's graph; None where nothing does.
        mode: ``static``, ``dynamic`` or ``weight-only``.
        provider: full provider name.

    Returns:
        The reason; '' where none was found.
    """
    refused = refusal(node.op_type, provider)
    if refused:
        return refused
    if mode == "weight-only":
        return _weights_reason(node) or (_GEMM_BY_CHANNEL if _is_gemm(became) else "")
    if mode == "dynamic":
        return _float_type(node) or f"it is {node.op_type}, which the model computes in float"
    return _static_reason(node, became)


def _static_reason(node: ir.Node, became: ir.Node | None) -> str:
    checks = [_operands, _float_type, _types, _result, _steps]
    if _is_gemm(became) and node.op_type == "MatMul":
        checks.insert(2, _became_gemm)
    for check in checks:
        found = check(node)
        if found:
            return found
    return _mixed(became) if became is not None else ""


# What is around it in the model


def _operands(node: ir.Node) -> str:
    """Whether all that it computes with is read back from integers."""
    for index, value in enumerate(_data(node)):
        if value.producer() is None or _made_by(value) != DEQUANTIZE:
            what = (
                "its weights" if index and node.op_type in _WEIGHTED else f"operand {value.name!r}"
            )
            return f"{what} {'are' if what == 'its weights' else 'is'} not quantised"
    return ""


def _data(node: ir.Node) -> list[ir.Value]:
    inputs = [value for value in node.inputs if value is not None]
    if node.op_type in _WEIGHTED:
        return inputs[:2]
    if node.op_type == "Where":
        return inputs[1:]
    return inputs if node.op_type in ("Add", "Concat", "Mul") else inputs[:1]


def _float_type(node: ir.Node) -> str:
    value = node.inputs[0]
    dtype = None if value is None else value.dtype
    if dtype is None and value is not None and _made_by(value) == DEQUANTIZE:
        dtype = _parameter(value.producer(), 1)[1]
    if dtype in (None, ir.DataType.FLOAT):
        return ""
    return f"it computes in {str(dtype).lower()}, and the integer kernels are for float"


def _result(node: ir.Node) -> str:
    """Whether its result is quantised, with nothing between."""
    value = node.outputs[0]
    readers = _readers(value)
    marks = [reader for reader in readers if reader.op_type == QUANTIZE]
    if marks:
        return _other_readers(value, readers)
    if node.op_type in _NEEDS_NO_RESULT and not any(_leads_to_quantise(r) for r in readers):
        return ""
    if len(readers) != 1 or value.is_graph_output():
        return "its result is not quantised"
    (after,) = readers
    if not _leads_to_quantise(after):
        return "its result is not quantised"
    if after.op_type not in _RECTIFIERS:
        return f"{after.op_type} stands between it and where its result is quantised"
    return _rectified(after)


def _other_readers(value: ir.Value, readers: list[ir.Node]) -> str:
    if value.is_graph_output():
        return "its result is an output of the model before it is quantised"
    others = [reader.op_type for reader in readers if reader.op_type != QUANTIZE]
    if others:
        return f"its result is read in float, too, by {others[0]}"
    return "its result is quantised twice" if len(readers) > 1 else ""


def _leads_to_quantise(node: ir.Node) -> bool:
    return any(reader.op_type == QUANTIZE for reader in _readers(node.outputs[0]))


def _rectified(after: ir.Node) -> str:
    """Whether what can be stored is within the limits of a Relu or Clip."""
    for mark in _readers(after.outputs[0]):
        if mark.op_type != QUANTIZE:
            return f"the result of the {after.op_type} after it is read in float, too, by {mark.op_type}"
        zero, dtype = _parameter(mark, 2)
        if dtype not in _EIGHT_BITS:
            continue
        lowest = -128 if dtype == ir.DataType.INT8 else 0
        zero_point = 0 if zero is None else int(zero.reshape(-1)[0])
        if after.op_type == "Relu" and zero_point != lowest:
            kind = " (symmetric s8)" if lowest and not zero_point else ""
            return f"Relu stands between because the zero point is not the lowest value{kind}"
    if after.op_type == "Clip":
        return "Clip stands between because values beyond its limits can be stored"
    return ""


def _is_gemm(became: ir.Node | None) -> bool:
    return became is not None and became.op_type in ("Gemm", "FusedGemm")


def _became_gemm(node: ir.Node) -> str:
    if any(reader.op_type == QUANTIZE for reader in _readers(node.outputs[0])):
        return ""
    return "MatMul + Add became a float Gemm: quantise the result of the MatMul, or quantise dynamically"


# How it is quantised


def _types(node: ir.Node) -> str:
    for mark in _marks(node):
        dtype = _parameter(mark, 2)[1] or _stored_type(mark)
        if dtype is not None and dtype not in (*_EIGHT_BITS, ir.DataType.INT32):
            return f"the runtime has no kernel for {node.op_type} of {str(dtype).lower()}"
    return ""


def _steps(node: ir.Node) -> str:
    """Whether activations have one scale, and weights those that the kernel takes."""
    for index, value in enumerate(_data(node)):
        mark = value.producer()
        if mark is None or mark.op_type != DEQUANTIZE:
            continue
        if mark.attributes.get_int("block_size", 0):
            return "it is quantised by block, for which there is no kernel"
        scale = _parameter(mark, 1)[0]
        weights = index == 1 and node.op_type in _WEIGHTED
        if scale is None:
            return f"the scale of {value.name!r} is not constant"
        if scale.size > 1 and not weights:
            return f"operand {value.name!r} has a scale for each channel"
    return ""


def _marks(node: ir.Node) -> Iterator[ir.Node]:
    for value in _data(node):
        mark = value.producer()
        if mark is not None and mark.op_type == DEQUANTIZE:
            yield mark
    for reader in _readers(node.outputs[0]):
        if reader.op_type == QUANTIZE:
            yield reader


def _weights_reason(node: ir.Node) -> str:
    if node.op_type not in ("Gemm", "MatMul"):
        return f"the runtime has no kernel for {node.op_type} with stored weights alone"
    weights = node.inputs[1]
    mark = None if weights is None else weights.producer()
    if mark is None or mark.op_type != DEQUANTIZE:
        return "its weights are not quantised"
    stored = _stored_type(mark)
    if stored is not None and stored.is_floating_point():
        return f"the runtime has no kernel for {node.op_type} of {str(stored).lower()}"
    if len(_readers(mark.outputs[0])) > 1:
        return "its weights are read by several operators"
    readers = _readers(node.outputs[0])
    if len(readers) == 1 and readers[0].op_type in _RECTIFIERS:
        return f"{readers[0].op_type} follows, which the runtime takes for part of a quantisation of the result"
    return _float_type(node)


# What the runtime made of it


def _mixed(became: ir.Node) -> str:
    """The runtime turns int8 into uint8 around an operator where it can, and sometimes on one side only."""
    found = {
        dtype
        for mark in _marks(became)
        if (dtype := _parameter(mark, 2)[1]) in _EIGHT_BITS
        and not (became.op_type in _WEIGHTED and _is_weight(mark))
    }
    if len(found) > 1:
        return (
            "the runtime stores what it reads and what it makes in different types, as it turns int8 into"
            " uint8 except where several operators read a tensor: store it as uint8"
        )
    return ""


def _is_weight(mark: ir.Node) -> bool:
    value = mark.inputs[0]
    return value is not None and value.const_value is not None


# Looking things up


def _readers(value: ir.Value) -> list[ir.Node]:
    return [use.node for use in value.uses()]


def _made_by(value: ir.Value) -> str:
    """The operator that makes a value, seen through those that only move it."""
    producer = value.producer()
    while producer is not None and producer.op_type in CARRIERS and producer.inputs[0] is not None:
        producer = producer.inputs[0].producer()
    return "" if producer is None else producer.op_type


def _parameter(mark: ir.Node | None, index: int) -> tuple[np.ndarray | None, ir.DataType | None]:
    """A scale (1) or zero point (2) of a conversion, with its type."""
    value = mark.inputs[index] if mark is not None and index < len(mark.inputs) else None
    tensor = None if value is None else value.const_value
    if tensor is None:
        producer = None if value is None else value.producer()
        tensor = None if producer is None else producer.attributes.get_tensor("value", None)
    if tensor is None:
        return None, None if value is None else value.dtype
    return np.asarray(tensor.numpy()), tensor.dtype


def _stored_type(mark: ir.Node) -> ir.DataType | None:
    """The type of the integers that a DequantizeLinear reads."""
    value = mark.inputs[0] if mark.op_type == DEQUANTIZE else mark.outputs[0]
    if value is None:
        return None
    return value.const_value.dtype if value.const_value is not None else value.dtype
