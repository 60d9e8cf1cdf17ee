"""Holds the facts of a model against what really comes out when it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from onnxopt.analysis.dims import Dim, evaluate, render, substitute
from onnxopt.analysis.facts import Facts

HEADER = '<ir_version: 9, opset_import: ["" : {opset}, "com.microsoft" : 1]>'


def parse(text: str, opset: int = 18) -> ir.Model:
    """A model from ONNX's text format; ``text`` starts at the name of the graph."""
    return ir.from_proto(onnx.parser.parse_model(HEADER.format(opset=opset) + text))


def named(model: ir.Model) -> dict[str, ir.Value]:
    """The values of the main graph by name."""
    values = {value.name: value for value in model.graph.inputs}
    for node in model.graph:
        values.update({value.name: value for value in node.outputs})
    return {name: value for name, value in values.items() if name}


@dataclass
class Check:
    """What a comparison found.

    Attributes:
        faults: One line for each fact that is wrong.
        checked: Dimensions and elements that were compared.
        unknown: Dimensions and elements that the facts leave open.
    """

    faults: list[str] = field(default_factory=list)
    checked: int = 0
    unknown: int = 0

    def compare(self, facts: Facts, value: ir.Value, array: Any, sizes: Mapping[str, int]) -> None:
        """Compares the facts of one value with an array that it took."""
        if isinstance(array, np.generic):
            array = np.asarray(array)
        if not isinstance(array, np.ndarray):
            return
        where = f"{value.name}: {facts.describe(value)}"
        self._dtype(facts.dtype(value), array, where)
        shape = facts.shape(value)
        if shape is None:
            self.unknown += max(1, array.ndim)
        elif len(shape) != array.ndim:
            self.faults.append(f"{where} has shape {array.shape} with {dict(sizes)}")
        else:
            self._items(shape, array.shape, sizes, where)
        content = facts.content(value)
        if content is not None:
            wanted = content if isinstance(content, tuple) else (content,)
            self._items(wanted, [int(item) for item in array.reshape(-1)], sizes, where)

    def _dtype(self, dtype: ir.DataType | None, array: np.ndarray, where: str) -> None:
        if dtype is None:
            self.unknown += 1
            return
        try:
            found = ir.DataType.from_numpy(array.dtype)
        except TypeError:
            found = ir.DataType.STRING
        if found != dtype:
            self.faults.append(f"{where} has type {found}")

    def _items(
        self, wanted: Sequence[Dim], found: Iterable[int], sizes: Mapping[str, int], where: str
    ) -> None:
        numbers = list(found)
        if len(wanted) != len(numbers):
            self.faults.append(f"{where} has {len(numbers)} elements with {dict(sizes)}")
            return
        for dim, number in zip(wanted, numbers, strict=True):
            try:
                value = substitute(dim, sizes)
            except (ZeroDivisionError, ValueError):
                value = dim
            if not isinstance(value, int):
                self.unknown += 1
            elif value != number:
                self.faults.append(f"{where}: {render(dim)} is {number} with {dict(sizes)}")
            self.checked += 1


def symbols(facts: Facts, model: ir.Model) -> dict[str, None]:
    """The names of the symbolic dimensions of a model's inputs, in order."""
    found: dict[str, None] = {}
    for value in model.graph.inputs:
        for dim in facts.shape(value) or ():
            if not isinstance(dim, int):
                found[render(dim)] = None
    return found


def feeds_of(
    facts: Facts, model: ir.Model, sizes: Mapping[str, int], seed: int
) -> dict[str, np.ndarray]:
    """Signed inputs for a model at given sizes; small integers for integer inputs."""
    rng = np.random.default_rng(seed)
    feeds: dict[str, np.ndarray] = {}
    for value in model.graph.inputs:
        dtype, shape = facts.dtype(value), facts.shape(value)
        assert value.name
        assert dtype is not None
        assert shape is not None
        dims = [evaluate(dim, sizes) for dim in shape]
        numpy_type = dtype.numpy()
        if np.issubdtype(numpy_type, np.floating):
            feeds[value.name] = (rng.standard_normal(dims) * 10).astype(numpy_type)
        else:
            feeds[value.name] = rng.integers(0, 2, dims).astype(numpy_type)
    return feeds


def run_all(model: ir.Model, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Runs a model unoptimised and gives every value of its main graph."""
    import onnxruntime as ort

    proto = ir.to_proto(model)
    del proto.graph.value_info[:]
    outputs = {output.name for output in proto.graph.output}
    names = [name for node in proto.graph.node for name in node.output if name]
    proto.graph.output.extend(
        onnx.helper.make_empty_tensor_value_info(name) for name in names if name not in outputs
    )
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found = [output.name for output in session.get_outputs()]
    return dict(zip(found, session.run(found, dict(feeds)), strict=True))


def check_runs(
    model: ir.Model, runs: Sequence[Mapping[str, int]], facts: Facts | None = None
) -> Check:
    """Compares the facts of every value of the main graph with runs at several sizes."""
    facts = facts or Facts(model)
    check = Check()
    values = named(model)
    for seed, sizes in enumerate(runs):
        for name, array in run_all(model, feeds_of(facts, model, sizes, seed)).items():
            check.compare(facts, values[name], array, sizes)
    return check
