"""What is decided before anything is quantised: the mode, the opset, weights that are inputs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ..analysis.facts import Facts
from ..analysis.naming import dtype_name
from ..compiler.aim import aim
from ..errors import UsageError
from ..quantization.table import Quantization
from .request import FLOATS, Request
from .straight import MODE

if TYPE_CHECKING:
    from ..compiler.options import Options
    from ..compiler.staging import Origin

_BY_CHANNEL = 13
_EXPORTERS = "pkg."
_NAMED = 3
_WIDE = 21


def mode_of(request: Request, options: Options) -> str:
    """The mode asked for; where none was, that of the target, if it has one only."""
    table = aim(options.target).target.quantize or Quantization()
    if request.mode == "auto" and table.mode == MODE:
        request.check(MODE)
        return MODE
    return request.mode


def check_states(origin: Origin, request: Request) -> None:
    """Looks whether the model takes what is to be fed back to it.

    Raises:
        UsageError: It has no such output or input, or they are of different types or shapes.
    """
    from ..runtime.calibration.state import check_fit, check_pairs
    from ..runtime.trace import input_specs

    read = [samples for samples in (request.calibration, request.evaluation) if samples is not None]
    pairs = {name: target for samples in read for name, target in samples.state.items()}
    if not pairs:
        return
    model = origin.peek()
    facts, specs = Facts(model), input_specs(model)
    outputs = {value.name or "": value for value in model.graph.outputs}
    try:
        check_pairs(pairs, list(outputs), specs)
        for name, target in pairs.items():
            dtype, shape = facts.dtype(outputs[name]), facts.shape(outputs[name])
            sizes = None if shape is None else [d if isinstance(d, int) else None for d in shape]
            if dtype is not None:
                spec = next(spec for spec in specs if spec.name == target)
                check_fit(name, dtype_name(dtype), sizes, spec)
    except UsageError as error:
        raise UsageError(f"{origin.label}: {error}") from None


def frozen(origin: Origin, options: Options) -> tuple[Options, str]:
    """Makes constants of weights that are also inputs: stored as integers, they are not what callers would give."""
    graph = origin.peek().graph
    count = sum(value.name in graph.initializers for value in graph.inputs)
    if options.freeze_inputs or not count:
        return options, ""
    told = f"{count} weights were also inputs, which callers could override; they are constants now"
    return dataclasses.replace(options, freeze_inputs=True), told


def inlined(origin: Origin) -> str:
    """What is said of functions that users wrote; those of exporters are always inlined."""
    names = [f"{f.domain}.{f.name}" for f in origin.peek().functions.values()]
    own = [name for name in names if not name.startswith(_EXPORTERS)]
    if not own:
        return ""
    more = f" and {len(own) - _NAMED} more" if len(own) > _NAMED else ""
    return f"functions of the model were inlined: {', '.join(own[:_NAMED])}{more}"


def raised(origin: Origin, request: Request, options: Options) -> tuple[Options, str]:
    """Raises the opset where what is asked for begins later, unless the user chose one."""
    table = aim(options.target).target.quantize or Quantization()
    granularity = request.granularity or table.granularity
    least = 10 if granularity == "tensor" else _BY_CHANNEL
    if mode_of(request, options) == MODE:
        least = request.stored.opset
    if "16" in request.activations or request.activations == FLOATS or request.wide:
        least = _WIDE
    imports = origin.peek().opset_imports
    version = imports.get("", imports.get("ai.onnx", 0))
    if options.opset is not None or version >= least or not version:
        return options, ""
    told = f"the opset was raised from {version} to {least}, which what was asked for begins with"
    return dataclasses.replace(options, opset=least), told
