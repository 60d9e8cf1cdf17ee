"""Golden text cases for rules: a model in ONNX's text format, a pipeline, and what is expected.

A file holds the cases of one rule or pass::

    == names the case
    pipeline: fuse-conv-bn
    <ir_version: 8, opset_import: ["" : 17]>
    g (float[N,3,8,8] x) => (float[N,4,8,8] y)
    <float[4,3,1,1] w, float[4] scale, float[4] beta, float[4] mean, float[4] var>
    {
      c = Conv (x, w)
      y = BatchNormalization (c, scale, beta, mean, var)
    }
    -- after
    y = Conv(x, *, *)

Initializers written without values get signed random ones (those whose name contains ``var`` or
``positive`` get positive ones). In the expected listing ``*`` stands for a constant made by a
rewrite, and names of values that a rewrite made are written ``%0``, ``%1``, … in order. A case that
must not fire ends with ``-- declines <part of the reason>`` (or ``-- unchanged`` where no pattern
matches). A second line ``target: NAME`` names what the result must run on, or a ``.toml`` file beside this one. ``-- skip-run`` in a case leaves out running it, and says why. ``-- feeds x=int(0,5)`` bounds
generated integers.

Set ONNXOPT_GOLDEN_UPDATE=1 to rewrite the expected listings in place; then read the difference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir

from onnxopt.pipeline.base import Context, Pass
from onnxopt.pipeline.instruments import Instrument
from onnxopt.pipeline.manager import Manager, Settings
from onnxopt.targets.load import load_target

from ..passes.quantize.support import Observer

HERE = Path(__file__).parent


@dataclass
class Case:
    """One case: where it stands, what goes in, what is expected."""

    path: Path
    name: str
    pipeline: str
    model_text: str
    after: list[str] | None = None
    declines: list[str] = field(default_factory=list)
    unchanged: bool = False
    skip_run: str | None = None
    feeds: dict[str, tuple[int, int]] = field(default_factory=dict)
    target: str = "generic"

    def __str__(self) -> str:
        return f"{self.path.stem}: {self.name}"


def read_cases(path: Path) -> list[Case]:
    """Reads the cases of a file."""
    cases = []
    for chunk in re.split(r"^== ", path.read_text(), flags=re.M)[1:]:
        name, _, rest = chunk.partition("\n")
        cases.append(_case(path, name.strip(), rest))
    return cases


def _case(path: Path, name: str, text: str) -> Case:
    parts = re.split(r"^-- ", text, flags=re.M)
    head = parts[0].strip("\n")
    pipeline, _, model_text = head.partition("\n")
    if not pipeline.startswith("pipeline:"):
        raise ValueError(f"{path}: case {name!r} must start with 'pipeline:'")
    case = Case(path, name, pipeline.removeprefix("pipeline:").strip(), model_text)
    if model_text.startswith("target:"):
        target, _, case.model_text = model_text.partition("\n")
        case.target = target.removeprefix("target:").strip()
    for part in parts[1:]:
        key, _, rest = part.partition("\n")
        word, _, argument = key.strip().partition(" ")
        if word == "after":
            case.after = [line.strip() for line in rest.splitlines() if line.strip()]
        elif word == "declines":
            case.declines.append(argument.strip())
        elif word == "unchanged":
            case.unchanged = True
        elif word == "skip-run":
            case.skip_run = argument
        elif word == "feeds":
            for item in argument.split():
                found = re.fullmatch(r"(\w+)=int\((-?\d+),(-?\d+)\)", item)
                assert found, f"{path}: {item!r} is not NAME=int(LOW,HIGH)"
                case.feeds[found[1]] = (int(found[2]), int(found[3]))
        else:
            raise ValueError(f"{path}: case {name!r} has an unknown section {word!r}")
    if case.after is None and not case.declines and not case.unchanged:
        raise ValueError(f"{path}: case {name!r} expects nothing")
    return case


def build_model(case: Case) -> onnx.ModelProto:
    """Parses a case's model and fills in the initializers written without values."""
    model = onnx.parser.parse_model(case.model_text)
    rng = np.random.default_rng(7)
    _fill(model.graph, rng)
    onnx.checker.check_model(model)
    return model


def _fill(graph: onnx.GraphProto, rng: np.random.Generator) -> None:
    known = {i.name for i in graph.input} | {i.name for i in graph.initializer}
    known |= {name for node in graph.node for name in node.output}
    known |= {o.name for o in graph.output}
    for info in list(graph.value_info):
        if info.name in known:
            continue
        tensor_type = info.type.tensor_type
        shape = [d.dim_value for d in tensor_type.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor_type.elem_type)
        if np.dtype(dtype).kind in "iu":
            array = rng.integers(0 if np.dtype(dtype).kind == "u" else -5, 6, shape).astype(dtype)
        elif np.dtype(dtype).kind == "b":
            array = rng.integers(0, 2, shape).astype(bool)
        else:
            array = rng.normal(size=shape)
            if "var" in info.name or "positive" in info.name:
                array = np.abs(array) + 0.5
            array = np.asarray(array).astype(dtype)
        graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), info.name))
        graph.value_info.remove(info)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                _fill(attribute.g, rng)


def optimise(case: Case, model: onnx.ModelProto) -> tuple[onnx.ModelProto, Context]:
    """Runs a case's pipeline; returns the result and the context with its statistics."""
    from onnxopt.runtime.evaluate import run_small

    keeper = _Keeper()
    own = HERE / case.target
    target = load_target(str(own) if case.target.endswith(".toml") else case.target)
    settings = Settings(
        evaluate=run_small, instruments=[keeper], target=target, observe=Observer([_sample(model)])
    )
    manager = Manager(settings)
    # A copy: renaming a value of the IR renames the tensor in the message it came from.
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    outcome = manager.run(lambda: ir.from_proto(copy), case.pipeline)
    assert not outcome.failures, outcome.failures
    assert not outcome.stats.errors, outcome.stats.errors
    assert keeper.context is not None
    return ir.to_proto(outcome.model), keeper.context


def _sample(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Normally distributed inputs to calibrate on; 3 for dims that are not known."""
    rng = np.random.default_rng(3)
    sample = {}
    for info in model.graph.input:
        tensor_type = info.type.tensor_type
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor_type.elem_type)
        shape = [d.dim_value or 3 for d in tensor_type.shape.dim]
        sample[info.name] = np.asarray(rng.normal(size=shape)).astype(dtype)
    return sample


class _Keeper(Instrument):
    """Keeps the context, for its statistics."""

    context: Context | None = None

    def before(self, step: Pass, context: Context) -> None:  # noqa: ARG002
        self.context = context


def listing(model: onnx.ModelProto, original: onnx.ModelProto) -> list[str]:
    """Lists the nodes of a model, with names a rewrite made replaced by ``*`` and ``%n``."""
    lines: list[str] = []
    for function in model.functions:
        lines.append(f"function {function.name}:")
        _list_nodes(function.node, _names(original), set(), {}, lines, "  ")
    initializers = {i.name for i in model.graph.initializer}
    _list_nodes(model.graph.node, _names(original), initializers, {}, lines, "")
    return lines


def _names(model: onnx.ModelProto) -> set[str]:
    found: set[str] = set()

    def walk(graph: onnx.GraphProto) -> None:
        found.update(i.name for i in graph.input)
        found.update(i.name for i in graph.initializer)
        for node in graph.node:
            found.update(node.output)
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.GRAPH:
                    walk(attribute.g)

    walk(model.graph)
    for function in model.functions:
        found.update(function.input)
        for node in function.node:
            found.update(node.output)
    return found


def _list_nodes(
    nodes: list[onnx.NodeProto],
    old: set[str],
    initializers: set[str],
    numbers: dict[str, str],
    lines: list[str],
    indent: str,
) -> None:
    def show(name: str) -> str:
        if name == "" or name in old:
            return name
        if name in initializers:
            return "*"
        return numbers.setdefault(name, f"%{len(numbers)}")

    for node in nodes:
        plain, graphs = [], []
        for attribute in sorted(node.attribute, key=lambda a: a.name):
            if attribute.type == onnx.AttributeProto.GRAPH:
                graphs.append(attribute)
            elif attribute.type == onnx.AttributeProto.TENSOR:
                value = onnx.numpy_helper.to_array(attribute.t).tolist()
                plain.append(f"{attribute.name}={value}")
            elif attribute.ref_attr_name:
                plain.append(f"{attribute.name}=@{attribute.ref_attr_name}")
            else:
                value = onnx.helper.get_attribute_value(attribute)
                value = value.decode() if isinstance(value, bytes) else value
                value = list(value) if not isinstance(value, (int, float, str)) else value
                value = round(value, 6) if isinstance(value, float) else value
                plain.append(f"{attribute.name}={value}")
        domain = f"{node.domain}." if node.domain else ""
        inside = f" <{', '.join(plain)}>" if plain else ""
        inputs = ", ".join(show(n) for n in node.input)
        outputs = ", ".join(show(n) for n in node.output)
        lines.append(f"{indent}{outputs} = {domain}{node.op_type}{inside}({inputs})")
        for attribute in graphs:
            lines.append(f"{indent}  {attribute.name}:")
            inner = initializers | {i.name for i in attribute.g.initializer}
            _list_nodes(attribute.g.node, old, inner, numbers, lines, indent + "    ")


def update(case: Case, lines: list[str]) -> None:
    """Writes a new expected listing into the case's file."""
    text = case.path.read_text()
    head, found, tail = text.partition(f"== {case.name}\n")
    assert found
    body, mark, rest = tail.partition("\n== ")
    before, _, after = body.partition("-- after")
    extra = re.search(r"^-- .*", after.partition("\n")[2], flags=re.M)
    kept = after[after.index(extra[0]) :].rstrip("\n") + "\n" if extra else ""
    expected = "\n".join(line.replace("  ", "  ") for line in lines)
    new = f"{before}-- after\n{expected}\n{kept}"
    case.path.write_text(head + found + new + (mark and "\n== ") + rest)
