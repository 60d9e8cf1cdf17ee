"""What is decided before anything is quantised: the mode, the opset, weights that are inputs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ..compiler.aim import aim
from ..quantization.table import Quantization
from .request import FLOATS, Request
from .straight import MODE

if TYPE_CHECKING:
    from ..compiler.options import Options
    from ..compiler.staging import Origin

_BY_CHANNEL = 13
_WIDE = 21


def mode_of(request: Request, options: Options) -> str:
    """The mode asked for; where none was, that of the target, if it has one only."""
    table = aim(options.target).target.quantize or Quantization()
    if request.mode == "auto" and table.mode == MODE:
        request.check(MODE)
        return MODE
    return request.mode


def frozen(origin: Origin, options: Options) -> tuple[Options, str]:
    """Makes constants of weights that are also inputs: stored as integers, they are not what callers would give."""
    graph = origin.peek().graph
    count = sum(value.name in graph.initializers for value in graph.inputs)
    if options.freeze_inputs or not count:
        return options, ""
    told = f"{count} weights were also inputs, which callers could override; they are constants now"
    return dataclasses.replace(options, freeze_inputs=True), told


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
