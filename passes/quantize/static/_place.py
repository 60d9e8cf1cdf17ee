"""Carrying out a plan: QuantizeLinear and DequantizeLinear around what computes in integers.

A value is quantised right where it is made. Readers that compute in integers read it back from there; so do all others
where the value itself is made in integers, since nothing else of it exists then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.pipeline.base import Context
from onnxopt.quantization.affine import Affine, Array
from onnxopt.quantization.correction import corrected
from onnxopt.quantization.record import Kind
from onnxopt.quantization.table import Weighted
from onnxopt.quantization.types import QTYPES
from onnxopt.rewrite.builder import Builder
from onnxopt.rewrite.editor import where
from onnxopt.rewrite.provenance import record

from .._marking import INTEGER
from ._correction import Means, correct_summand, mean_error
from ._fits import channels_of, vector
from ._notes import Notes
from ._plan import Plan, Planner
from ._scales import Scheme, activation_scale, channel_axis, weight_scale

RULE = "quantize"


class Placement:
    """Edits one graph as planned.

    Args:
        context: The model and the services.
        graph: The graph.
        planner: Made the plan.
        plan: What is quantised.
        scales: How, by value.
        scheme: The types of weights.
        notes: Keeps a record.
        means: Of what weighted operators read, where biases are to be corrected.
    """

    def __init__(
        self,
        context: Context,
        graph: ir.Graph,
        planner: Planner,
        plan: Plan,
        scales: Mapping[ir.Value, Affine],
        scheme: Scheme,
        notes: Notes,
        means: Means | None = None,
    ) -> None:
        self._notes = notes
        self._means = means or {}
        self._context = context
        self._facts: Facts = context.facts
        self._graph = graph
        self._planner = planner
        self._plan = plan
        self._scales = scales
        self._scheme = scheme
        self._shared: dict[tuple[ir.Value, int | None], list[tuple[ir.Value, Affine]]] = {}
        self._parameters: dict[int, list[ir.Value]] = {}
        self._made = set[ir.Value]() if scheme.floating else plan.made

    def run(self) -> None:
        """Changes the graph."""
        for node, form in list(self._plan.weighted()):
            self._weights(node, form)
        for node in self._plan.integer:
            self._constants(node)
        for value in self._plan.tensors:
            self._activation(value)
        self._mark()

    def _mark(self) -> None:
        """Notes which nodes compute in integers; a runtime's graph is searched for their names."""
        seen = Counter(node.name for node in self._context.model.graph.all_nodes())
        for node in self._plan.integer:
            node.metadata_props[INTEGER] = "static"
            if not node.name or seen[node.name] > 1:
                node.name = self._context.editor.names.fresh(node.name or node.op_type)

    # Activations

    def _activation(self, value: ir.Value) -> None:
        producer = value.producer()
        if producer is not None and producer.graph is not self._graph:
            producer = None  # what is captured from around a branch is quantised anew where the branch begins
        made_here = value in self._made
        anchor = producer or self._graph[0]
        build = self._builder(anchor)
        readers = list(value.uses())
        parameters = self._parameters_of(build, value)
        floating = self._scheme.floating
        apart = value in self._plan.apart and not floating
        given = self._set_apart(build, value) if apart else value
        kind = self._scheme.activations.dtype if floating else None
        stored = build.op("QuantizeLinear", given, *parameters, output_dtype=kind)
        back = build.op("DequantizeLinear", stored, *parameters)
        self._facts.copy_facts(value, back)
        self._insert(build, anchor, after=producer is not None, origin=[anchor] if producer else [])
        for node, index in readers:
            if made_here or self._reads_integers(node, value):
                node.replace_input_with(index, back)
        if made_here and value.is_graph_output():
            self._take_place(value, back)
        self._notes.activation(value, back)

    def _set_apart(self, build: Builder, value: ir.Value) -> ir.Value:
        """A sum of one value, which is that value: runtimes remove an Identity, and make no integers of this."""
        same = build.op("Sum", value)
        self._facts.copy_facts(value, same)
        return same

    def _reads_integers(self, node: ir.Node, value: ir.Value) -> bool:
        return node in self._plan.integer and value in self._planner.data(node)

    def _parameters_of(self, build: Builder, value: ir.Value) -> list[ir.Value]:
        """Scale and zero point as constants, the same for all values that share them."""
        found = self._scales[value]
        parameters = self._parameters.get(id(found))
        if parameters is None:
            parameters = _constants_of(build, self._planner.stored(found))
            self._parameters[id(found)] = parameters
        return parameters

    def _take_place(self, old: ir.Value, new: ir.Value) -> None:
        """Lets what is read back be the graph's output, under the same name."""
        name = old.name
        old.name = self._context.editor.names.fresh(f"{name}_float")
        new.name, new.type, new.shape, new.doc_string = name, old.type, old.shape, old.doc_string
        new.metadata_props.update(old.metadata_props)
        new.meta.update(old.meta)
        for index, value in enumerate(self._graph.outputs):
            if value is old:
                self._graph.outputs[index] = new

    # Weights

    def _weights(self, node: ir.Node, form: Weighted) -> None:
        weight = node.inputs[form.weight]
        assert weight is not None
        data = node.inputs[0]
        assert data is not None
        tensor = self._facts.const_tensor(weight)
        assert tensor is not None
        channels = self._scheme.by_channel and form.granularity == "channel"
        axis = channel_axis(node, form, len(tensor.shape)) if channels else None
        scale = self._scales[data].scale
        numbers = self._bias_of(node, form)
        summand = None if self._scheme.floating else self._summand(node)
        added = None if self._scheme.floating else summand if numbers is None else numbers
        affine = weight_scale(np.asarray(tensor.numpy()), axis, self._scheme, added, scale)
        alike = self._shared.setdefault((weight, axis), [])
        back = next((v for v, a in alike if np.array_equal(a.scale, affine.scale)), None)
        if back is None:
            back = self._stored(node, "weight", tensor, affine, weight)
            alike.append((back, affine))
        node.replace_input_with(form.weight, back)
        fixed = numbers
        if self._scheme.correct_bias:
            fixed = self._corrected(node, form, np.asarray(tensor.numpy()), affine, numbers)
        if summand is not None:
            self._sum(node, scale, affine)
        if fixed is None or form.bias is None:
            return
        if not self._scheme.floating:
            self._bias(node, form.bias, fixed, scale, affine)
        elif fixed is not numbers:
            self._float_bias(node, form.bias, fixed)

    def _sum(self, node: ir.Node, scale: Array, weights: Affine) -> None:
        """Stores the vector that is added to a product as a bias is stored.

        Where shapes are known, onnxruntime makes a Gemm of both, which computes in integers only with such a bias.
        """
        total = self._plan.sums[node]
        for index, value in enumerate(total.inputs):
            tensor = None if value is None else self._facts.const_tensor(value)
            if tensor is not None:
                self._bias(total, index, np.asarray(tensor.numpy(), np.float32), scale, weights)

    def _summand(self, node: ir.Node) -> Array | None:
        """The vector that is added to a product, where it is stored as a bias is."""
        total = self._plan.sums.get(node)
        if total is None or self._facts.static_shape(node.inputs[0]) is None:
            return None
        tensors = (self._facts.const_tensor(value) for value in total.inputs)
        return next((np.asarray(t.numpy(), np.float32) for t in tensors if t is not None), None)

    def _bias_of(self, node: ir.Node, form: Weighted) -> Array | None:
        """The bias as float32 [channels]: kernels take it in no other shape."""
        if form.bias is None or form.bias >= len(node.inputs):
            return None
        shape = self._facts.static_shape(node.inputs[form.weight])
        return vector(self._facts, node.inputs[form.bias], channels_of(node, shape or ()))

    def _corrected(
        self, node: ir.Node, form: Weighted, weight: Array, affine: Affine, bias: Array | None
    ) -> Array | None:
        """The bias without what rounding the weights adds; one is made where there is none but may be."""
        error = mean_error(self._facts, node, weight, affine, self._means)
        if not isinstance(error, str) and bias is not None and bias.shape == error.shape:
            return corrected(bias, error)
        if isinstance(error, str):
            reason = error
        elif form.bias is None:
            reason = correct_summand(self._context, node, error)
        elif form.bias < len(node.inputs) and node.inputs[form.bias] is not None:
            reason = "its bias is not one constant a channel"
        else:
            node.resize_inputs(max(form.bias + 1, len(node.inputs)))
            return corrected(np.zeros(error.shape), error)
        if reason:
            self._context.stats.decline(RULE, where(node), f"bias not corrected: {reason}")
        return bias

    def _bias(
        self, node: ir.Node, index: int, numbers: Array, scale: Array, weights: Affine
    ) -> None:
        steps = (scale * weights.scale).astype(np.float32)
        shape = steps.shape if steps.ndim else ()
        axis = 0 if steps.ndim else None
        affine = Affine(QTYPES["s32"], steps, np.zeros(shape, np.int64), axis)
        back = self._stored(node, "bias", ir.tensor(numbers), affine, node.inputs[index])
        node.replace_input_with(index, back)

    def _float_bias(self, node: ir.Node, index: int, numbers: Array) -> None:
        build = self._builder(node)
        node.replace_input_with(index, build.const("bias", numbers, ir.DataType.FLOAT))
        self._insert(build, node, after=False, origin=[])

    def _constants(self, node: ir.Node) -> None:
        """Stores constant operands of operators without weights as activations are."""
        if self._plan.integer[node] is not None:
            return
        for index, value in enumerate(node.inputs):
            tensor = None if value is None else self._facts.const_tensor(value)
            if value is None or tensor is None or value not in self._planner.data(node):
                continue
            numbers = np.asarray(tensor.numpy(), np.float32)
            low, high = float(numbers.min(initial=0.0)), float(numbers.max(initial=0.0))
            unlimited = (-np.inf, np.inf)
            affine = self._planner.stored(activation_scale((low, high), unlimited, self._scheme))
            back = self._stored(node, "operand", tensor, affine, value)
            node.replace_input_with(index, back)

    def _stored(
        self,
        node: ir.Node,
        kind: Kind,
        tensor: ir.TensorProtocol,
        affine: Affine,
        value: ir.Value | None,
    ) -> ir.Value:
        """A constant kept in integers and read back."""
        build = self._builder(node)
        parameters = _constants_of(build, affine)
        shape = tuple(int(d) for d in tensor.shape.numpy())
        stored = build.lazy(
            f"{kind}_quantized",
            affine.qtype.dtype,
            shape,
            lambda: affine.quantised(np.asarray(tensor.numpy())),
        )
        back = build.op("DequantizeLinear", stored, *parameters, axis=affine.axis)
        self._notes.constant(kind, value, back, affine, node, tensor)
        self._insert(build, node, after=False, origin=[node])
        return back

    # Inserting

    def _builder(self, anchor: ir.Node) -> Builder:
        return self._context.editor.builder(anchor)

    def _insert(
        self, build: Builder, anchor: ir.Node, *, after: bool, origin: Sequence[ir.Node]
    ) -> None:
        for constant in build.constants:
            self._graph.initializers.add(constant)
        record(RULE, build.nodes, origin)
        if after:
            self._graph.insert_after(anchor, build.nodes)
        else:
            self._graph.insert_before(anchor, build.nodes)
        self._context.stats.added.update(node.op_type for node in build.nodes)


def _constants_of(build: Builder, affine: Affine) -> list[ir.Value]:
    """Scale and zero point; the scale alone of 8-bit floats."""
    scale = build.const("scale", affine.scale, ir.DataType.FLOAT)
    if affine.qtype.floating:
        return [scale]
    return [scale, build.const("zero_point", affine.zero_point, affine.qtype.dtype)]
