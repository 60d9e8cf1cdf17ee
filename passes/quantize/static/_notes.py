"""The record of a quantisation, kept while it is carried out.

Names are those of before: carrying out a plan renames nodes and takes names of outputs for what is read back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx_ir as ir

from onnxopt.quantization.affine import Affine
from onnxopt.quantization.observers import TensorStatistics
from onnxopt.quantization.record import Kept, KeptLayer, Kind, Record

from ._plan import Plan


class Notes:
    """Keeps a record.

    Args:
        plan: What is quantised; nothing has been changed yet.
        scales: How, by value.
        seen: What calibration saw, by name.
    """

    def __init__(
        self,
        plan: Plan,
        scales: Mapping[ir.Value, Affine],
        seen: Mapping[str, TensorStatistics],
    ) -> None:
        self._scales = scales
        self._seen = seen
        self._names = {value: value.name or "" for value in plan.tensors}
        self._called: dict[ir.Node, str] = {}
        self._layers: dict[KeptLayer, None] = {}
        for node in plan.integer:
            self._called[node] = called(node)
        for node, form in plan.weighted():
            data, weight = node.inputs[0], node.inputs[form.weight]
            assert data is not None
            assert weight is not None
            names = (data.name or "", weight.name or "", plan.results[node].name or "")
            self._layers[KeptLayer(called(node), node.op_type, *names)] = None
        self._tensors: dict[str, Kept] = {}

    @property
    def record(self) -> Record:
        """What was noted so far; what is read back has the name that it has now."""
        return Record(list(self._tensors.values()), list(self._layers))

    def activation(self, value: ir.Value, back: ir.Value) -> None:
        """Notes a value that is stored in integers and what it is read back as; call it when both have their names."""
        producer, name = value.producer(), self._names[value]
        node, op_type = ("", "") if producer is None else (self._call(producer), producer.op_type)
        affine, seen = self._scales[value], self._seen.get(name)
        self._tensors[name] = Kept(name, "activation", back.name or "", affine, node, op_type, seen)

    def constant(
        self,
        kind: Kind,
        value: ir.Value | None,
        back: ir.Value,
        affine: Affine,
        reader: ir.Node,
        tensor: ir.TensorProtocol,
    ) -> None:
        """Notes a constant that is stored in integers.

        Args:
            kind: What it is.
            value: It; None for one that was added.
            back: What it is read back as.
            affine: How it is stored.
            reader: The node that reads it.
            tensor: Its numbers.
        """
        node = self._call(reader)
        name = value.name if value is not None and value.name else f"{node} ({kind})"
        kept = Kept(name, kind, back.name or "", affine, node, reader.op_type, None, tensor)
        self._tensors[back.name or ""] = kept

    def _call(self, node: ir.Node) -> str:
        return self._called.get(node) or called(node)


def joined(records: Iterable[Record]) -> Record:
    """One record of several graphs' ones."""
    found = list(records)
    return Record([t for r in found for t in r.tensors], [x for r in found for x in r.layers])


def called(node: ir.Node) -> str:
    """What a node is called on the command line: its name, or its result's."""
    return node.name or node.outputs[0].name or ""
