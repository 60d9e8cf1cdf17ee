"""Models for the tests: one that fills every field of onnx.proto, and a form to compare models in."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from google.protobuf.message import Message  # type: ignore[import-untyped]
from onnx import TensorProto, helper, numpy_helper


def floats(*dims: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """Signed values of several magnitudes."""
    values = np.random.default_rng(seed).normal(size=dims) * 10.0 ** (seed % 4)
    return np.asarray(values, np.float32)


def tensor(name: str, array: np.ndarray[Any, Any]) -> TensorProto:
    return numpy_helper.from_array(array, name)


def small_model(weight: np.ndarray[Any, Any] | None = None) -> onnx.ModelProto:
    """y = relu(x @ w) with a large weight."""
    weight = floats(64, 32) if weight is None else weight
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["h"], "mul"),
            helper.make_node("Relu", ["h"], ["y"], "act"),
        ],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", weight.shape[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", weight.shape[1]])],
        [tensor("w", weight)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def props(entries: Any, **values: str) -> None:
    for key, value in values.items():
        entry = entries.add()
        entry.key, entry.value = key, value


def sparse(name: str, dims: list[int]) -> onnx.SparseTensorProto:
    proto = onnx.SparseTensorProto()
    proto.values.CopyFrom(tensor(name, np.array([1.5, -2.5], np.float32)))
    proto.indices.CopyFrom(tensor("", np.array([1, 3], np.int64)))
    proto.dims.extend(dims)
    return proto


def full_model() -> onnx.ModelProto:
    """Return a model that is sound and uses every field of every message of onnx.proto."""
    model = onnx.ModelProto()
    model.ir_version = 12
    model.producer_name, model.producer_version = "maker", "1.2"
    model.domain, model.model_version, model.doc_string = "com.example", 7, "about the model"
    for domain, version in (("", 20), ("com.example", 3), ("local", 1)):
        entry = model.opset_import.add()
        entry.domain, entry.version = domain, version
    props(model.metadata_props, author="someone", licence="none")
    configuration = model.configuration.add()
    configuration.name, configuration.num_devices = "two", 2
    configuration.device.extend(["cpu:0", "cpu:1"])
    _fill_graph(model.graph)
    _fill_function(model.functions.add())
    _fill_training(model.training_info.add())
    return model


def _fill_graph(graph: onnx.GraphProto) -> None:
    graph.name, graph.doc_string = "main", "about the graph"
    props(graph.metadata_props, stage="main")
    for info in _inputs():
        graph.input.add().CopyFrom(info)
    graph.initializer.add().CopyFrom(_tensor_with_everything())
    graph.initializer.add().CopyFrom(tensor("scale", np.array(0.5, np.float32)))
    graph.initializer.add().CopyFrom(tensor("big", floats(40, 30, seed=1)))
    for proto in _typed_tensors():
        graph.initializer.add().CopyFrom(proto)
    graph.sparse_initializer.add().CopyFrom(sparse("thin", [2, 4]))
    graph.node.extend(_nodes())
    graph.output.add().CopyFrom(helper.make_tensor_value_info("y", 1, ["batch", 4]))
    graph.output.add().CopyFrom(helper.make_tensor_value_info("x", 1, ["other", 4]))
    described = graph.value_info.add()
    described.CopyFrom(helper.make_tensor_value_info("h", 1, ["batch", 4]))
    described.doc_string = "the hidden value"
    props(described.metadata_props, layer="1")
    graph.value_info.add().CopyFrom(helper.make_tensor_value_info("big", 1, [40, 30]))
    graph.value_info.add().CopyFrom(helper.make_tensor_value_info("nowhere", 1, [1]))
    for name in ("h", "nowhere"):
        annotation = graph.quantization_annotation.add()
        annotation.tensor_name = name
        props(annotation.quant_parameter_tensor_names, SCALE_TENSOR="scale")


def _inputs() -> list[onnx.ValueInfoProto]:
    x = helper.make_tensor_value_info("x", 1, ["batch", 4])
    x.doc_string = "the input"
    x.type.denotation = "TENSOR"
    x.type.tensor_type.shape.dim[0].denotation = "DATA_BATCH"
    props(x.metadata_props, role="input")
    types: list[onnx.TypeProto] = [onnx.TypeProto() for _ in range(6)]
    types[0].sequence_type.elem_type.CopyFrom(helper.make_tensor_type_proto(1, [None, 3]))
    types[1].optional_type.elem_type.sequence_type.elem_type.tensor_type.elem_type = 7
    types[2].map_type.key_type = 7
    types[2].map_type.value_type.CopyFrom(helper.make_tensor_type_proto(1, [2]))
    types[3].sparse_tensor_type.elem_type = 1
    types[3].sparse_tensor_type.shape.dim.add().dim_value = 5
    types[4].opaque_type.domain, types[4].opaque_type.name = "com.example", "handle"
    types[5].sequence_type.elem_type.map_type.key_type = 8
    types[5].sequence_type.elem_type.map_type.value_type.tensor_type.elem_type = 1
    extra = []
    for index, type_ in enumerate(types):
        info = onnx.ValueInfoProto(name=f"unused{index}")
        info.type.CopyFrom(type_)
        extra.append(info)
    scalar = helper.make_tensor_value_info("flag", 9, [])
    return [x, *extra, scalar, onnx.ValueInfoProto(name="untyped")]


def _tensor_with_everything() -> TensorProto:
    proto = tensor("w", floats(4, 4))
    proto.doc_string = "a weight"
    props(proto.metadata_props, origin="trained")
    return proto


def _typed_tensors() -> list[TensorProto]:
    """One tensor in each typed field, and one with a segment."""
    protos = []
    cases: list[tuple[int, Any]] = [
        (TensorProto.FLOAT, [1.5, -2.0, 3e30]),
        (TensorProto.DOUBLE, [1.5, -2.0, 3e300]),
        (TensorProto.INT32, [1, -2, 3]),
        (TensorProto.INT64, [1, -2, 2**60]),
        (TensorProto.UINT64, [1, 2, 2**63]),
        (TensorProto.STRING, [b"a", b"", "ä".encode()]),
        (TensorProto.FLOAT16, [1.5, -2.0, 3.0]),
        (TensorProto.COMPLEX64, [1 + 2j, -2j, 3.0]),
    ]
    for dtype, values in cases:
        name = f"typed_{TensorProto.DataType.Name(dtype).lower()}"
        protos.append(helper.make_tensor(name, dtype, [3], values))
    piece = helper.make_tensor("piece", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])
    piece.segment.begin, piece.segment.end = 0, 3
    protos.append(piece)
    return protos


def _nodes() -> list[onnx.NodeProto]:
    first = helper.make_node("MatMul", ["x", "w"], ["h"], "first", doc_string="multiplies")
    props(first.metadata_props, pkg="torch.nn")
    _fill_devices(first.device_configurations.add())
    custom = helper.make_node(
        "Custom", ["h", "", "thin", ""], ["c", "", "d", ""], "custom", domain="com.example"
    )
    custom.overload = "wide"
    custom.attribute.extend(_attributes())
    call = helper.make_node("Local", ["c"], ["e"], "call", domain="local", alpha=2.0)
    branch = helper.make_node(
        "If", ["flag"], ["y"], "choose", then_branch=_branch("then"), else_branch=_branch("else")
    )
    return [first, custom, call, branch]


def _fill_devices(proto: onnx.NodeDeviceConfigurationProto) -> None:
    proto.configuration_id, proto.pipeline_stage = "two", 1
    spec = proto.sharding_spec.add()
    spec.tensor_name = "w"
    spec.device.extend([0, -1])
    group = spec.index_to_device_group_map.add()
    group.key = -1
    group.value.extend([0, 1])
    dim = spec.sharded_dim.add()
    dim.axis = 1
    for value in (4, "batch"):
        simple = dim.simple_sharding.add()
        simple.num_shards = 2
        setattr(simple, "dim_value" if isinstance(value, int) else "dim_param", value)


def _branch(name: str) -> onnx.GraphProto:
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["e", f"bias_{name}"], [f"s_{name}"], f"add_{name}"),
            helper.make_node(
                "Custom", [f"s_{name}", f"few_{name}"], [f"t_{name}"], domain="com.example"
            ),
        ],
        name,
        [],
        [onnx.ValueInfoProto(name=f"t_{name}")],
        [tensor(f"bias_{name}", floats(4)), tensor(f"wide_{name}", floats(30, 40, seed=2))],
        doc_string=f"the {name} branch",
    )
    graph.sparse_initializer.add().CopyFrom(sparse(f"few_{name}", [4]))
    graph.value_info.add().CopyFrom(helper.make_tensor_value_info(f"t_{name}", 1, ["batch", 4]))
    return graph


def _attributes() -> list[onnx.AttributeProto]:
    values: dict[str, Any] = {
        "f": 1.5,
        "i": -3,
        "s": "text",
        "odd": b"\xff\xfe",
        "t": tensor("inner", floats(3)),
        "large": tensor("", floats(30, 30, seed=3)),
        "floats": [1.0, -2.0],
        "ints": [1, -2],
        "strings": [b"a", b"\xff"],
        "tensors": [tensor("one", floats(2)), tensor("two", floats(40, 40))],
        "tp": helper.make_tensor_type_proto(1, ["k", 2]),
        "type_protos": [helper.make_tensor_type_proto(7, [1]), _map_type()],
        "sparse_tensor": sparse("", [2, 2]),
        "sparse_tensors": [sparse("", [4]), sparse("", [5])],
        "g": helper.make_graph([helper.make_node("Relu", ["h"], ["gr"])], "g", [], [_bare("gr")]),
        "graphs": [helper.make_graph([], "empty", [], [])],
    }
    attributes = [helper.make_attribute(key, value) for key, value in values.items()]
    attributes[0].doc_string = "a number"
    empty = onnx.AttributeProto(name="none", type=onnx.AttributeProto.INTS)
    return [*attributes, empty]


def _bare(name: str) -> onnx.ValueInfoProto:
    return onnx.ValueInfoProto(name=name)


def _map_type() -> onnx.TypeProto:
    type_ = onnx.TypeProto()
    type_.map_type.key_type = 8
    type_.map_type.value_type.tensor_type.elem_type = 1
    return type_


def _fill_function(function: onnx.FunctionProto) -> None:
    function.name, function.domain, function.overload = "Local", "local", ""
    function.doc_string = "about the function"
    function.input.append("a")
    function.output.append("b")
    function.attribute.append("beta")
    function.attribute_proto.add().CopyFrom(helper.make_attribute("alpha", 1.0))
    entry = function.opset_import.add()
    entry.domain, entry.version = "", 20
    props(function.metadata_props, kind="activation")
    node = helper.make_node("Elu", ["a"], ["b"], "elu")
    reference = node.attribute.add()
    reference.name, reference.ref_attr_name = "alpha", "alpha"
    reference.type, reference.doc_string = onnx.AttributeProto.FLOAT, "from the caller"
    function.node.add().CopyFrom(node)
    function.overload = "v2"
    for name in ("a", "b", "stray"):
        function.value_info.add().CopyFrom(helper.make_tensor_value_info(name, 1, ["batch", 4]))


def _fill_training(info: onnx.TrainingInfoProto) -> None:
    info.initialization.CopyFrom(
        helper.make_graph([], "init", [], [_bare("zero")], [tensor("zero", floats(4))])
    )
    info.algorithm.CopyFrom(
        helper.make_graph([helper.make_node("Sub", ["w", "x"], ["nw"])], "step", [], [_bare("nw")])
    )
    props(info.initialization_binding, w="zero")
    props(info.update_binding, w="nw")


def normal(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy in which whatever ONNX gives no meaning to (order, spelling of data) is fixed."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    _normalise(copy)
    return copy


_UNORDERED = {
    "opset_import": lambda e: e.domain,
    "value_info": lambda e: e.name,
    "metadata_props": lambda e: e.key,
    "quantization_annotation": lambda e: e.tensor_name,
    "quant_parameter_tensor_names": lambda e: e.key,
    "initializer": lambda e: e.name,
}


def _normalise(message: Message) -> None:
    if isinstance(message, TensorProto):
        _as_raw(message)
    for field, value in message.ListFields():
        if field.message_type is not None:
            for child in value if field.is_repeated else [value]:
                _normalise(child)
        if field.name in _UNORDERED:
            items = sorted(value, key=_UNORDERED[field.name])
            message.ClearField(field.name)
            getattr(message, field.name).extend(items)
        if field.name == "type" and field.message_type is not None and not value.ListFields():
            message.ClearField("type")
            continue
        if _is_explicit_default(field, value):
            message.ClearField(field.name)


def _is_explicit_default(field: Any, value: Any) -> bool:
    """Whether a field is set to what it would be anyway; types and members of a oneof still count."""
    if field.is_repeated or field.message_type is not None or field.containing_oneof is not None:
        return False
    return bool(value == field.default_value and field.name not in ("type", "elem_type"))


def _as_raw(proto: TensorProto) -> None:
    if proto.data_type in (TensorProto.STRING, 0) or proto.HasField("segment"):
        return
    if not proto.HasField("raw_data"):
        data = numpy_helper.from_array(numpy_helper.to_array(proto)).raw_data
        for name in ("float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
            proto.ClearField(name)
        proto.raw_data = data


def unused_fields(message: Message) -> set[str]:
    """Return the fields, as ``Message.field``, that nothing in a message uses, at any depth."""
    used: set[str] = set()
    kinds: dict[str, Any] = {}
    _collect(message, used)
    _kinds(message.DESCRIPTOR, kinds)
    return {f"{k}.{f.name}" for k, d in kinds.items() for f in d.fields} - used


def _kinds(descriptor: Any, kinds: dict[str, Any]) -> None:
    if descriptor.name in kinds:
        return
    kinds[descriptor.name] = descriptor
    for field in descriptor.fields:
        if field.message_type is not None:
            _kinds(field.message_type, kinds)


def _collect(message: Message, used: set[str]) -> None:
    for field, value in message.ListFields():
        used.add(f"{message.DESCRIPTOR.name}.{field.name}")
        if field.message_type is not None:
            for child in value if field.is_repeated else [value]:
                _collect(child, used)
