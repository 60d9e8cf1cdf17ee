"""The operator test models of the onnx package, in three forms.

*As they are*; with every input *but the first* made constant, as in exported models where the weights
are known; and with *all* inputs constant, where everything may fold.
"""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.test_case import TestCase
from onnx.backend.test.loader import load_model_tests

FORMS = ("as-is", "first-only", "constant")
Samples = Sequence[tuple[Sequence[Any], Sequence[Any]]]


@functools.cache
def node_cases() -> dict[str, TestCase]:
    """Returns the operator tests, by name."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return {case.name: case for case in load_model_tests(kind="node")}


@functools.cache
def file_cases() -> dict[str, TestCase]:
    """Returns the small whole models that lie in the onnx package as files, by name."""
    kinds = ("simple", "pytorch-converted", "pytorch-operator")
    return {case.name: case for kind in kinds for case in load_model_tests(kind=kind)}


def samples_of(case: TestCase) -> Samples:
    """Returns a case's inputs and expected outputs, a pair a sample."""
    if case.data_sets is not None:
        return [
            ([_array(i) for i in ins], [_array(o) for o in outs]) for ins, outs in case.data_sets
        ]
    assert case.model_dir is not None
    folder = os.path.join(case.model_dir, "test_data_set_0")
    model = onnx.load(os.path.join(case.model_dir, "model.onnx"))
    return [
        (
            [_read(folder, "input", i, v) for i, v in enumerate(_real_inputs(model))],
            [_read(folder, "output", i, v) for i, v in enumerate(model.graph.output)],
        )
    ]


def _array(value: Any) -> Any:
    """Types numpy lacks come as protos; ml_dtypes has arrays for them."""
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def model_of(case: TestCase) -> onnx.ModelProto:
    """Returns a case's model."""
    if case.model is not None:
        return case.model
    assert case.model_dir is not None
    return onnx.load(os.path.join(case.model_dir, "model.onnx"))


def _real_inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    known = {i.name for i in model.graph.initializer}
    return [i for i in model.graph.input if i.name not in known]


def _read(folder: str, kind: str, index: int, info: onnx.ValueInfoProto) -> Any:
    with open(os.path.join(folder, f"{kind}_{index}.pb"), "rb") as file:
        data = file.read()
    if info.type.HasField("sequence_type"):
        sequence = onnx.SequenceProto()
        sequence.ParseFromString(data)
        return numpy_helper.to_list(sequence)
    tensor = onnx.TensorProto()
    tensor.ParseFromString(data)
    return numpy_helper.to_array(tensor)


def in_form(
    model: onnx.ModelProto, inputs: Sequence[Any], form: str
) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """Puts a model into a form.

    Returns:
        The model, and the inputs that are left, by name. Sequences and absent optionals cannot be
        initializers and stay inputs.
    """
    feeds = dict(zip((i.name for i in _real_inputs(model)), inputs, strict=False))
    if form == "as-is":
        return model, feeds
    made = onnx.ModelProto()
    made.CopyFrom(model)
    made.ir_version = max(made.ir_version, 4)
    for position, info in enumerate(_real_inputs(model)):
        keep = form == "first-only" and position == 0
        value = feeds.get(info.name)
        if keep or not info.type.HasField("tensor_type") or value is None:
            continue
        tensor = _tensor(value, info)
        made.graph.initializer.append(tensor)
        made.graph.input.remove(next(i for i in made.graph.input if i.name == info.name))
        del feeds[info.name]
    return made, feeds


def _tensor(value: Any, info: onnx.ValueInfoProto) -> onnx.TensorProto:
    array = np.asarray(value)
    wanted = info.type.tensor_type.elem_type
    tensor = numpy_helper.from_array(array, info.name)
    if tensor.data_type != wanted:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(wanted)
        tensor = numpy_helper.from_array(array.astype(dtype), info.name)
    return tensor
