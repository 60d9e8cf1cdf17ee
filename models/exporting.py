"""Both of torch's exporters behind one call."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.spec import Exporter

if TYPE_CHECKING:
    from models.build import Built

_DYNAMO_WRITES = 18  # the lowest opset that torch's newer exporter has translations for
DEFAULT_OPSET: dict[str, int] = {"torchscript": 17, "dynamo": 20}


def export_built(
    built: Built,
    path: str | os.PathLike[str],
    *,
    exporter: Exporter = "torchscript",
    dynamic: bool = True,
    opset: int | None = None,
    optimize: bool = True,
) -> Path:
    """Export a built reference model.

    Args:
        built: What :func:`models.build` returned.
        path: Where the ``.onnx`` file goes; its folder must exist.
        exporter: ``"torchscript"`` or ``"dynamo"``.
        dynamic: Symbolic dims where the model has them; else the dims of the example inputs.
        opset: Operator set; :data:`DEFAULT_OPSET` of the exporter when omitted.
        optimize: Let the exporter optimise. Without, TorchScript's keeps BatchNormalization and
            folds no constants, and dynamo's leaves out its onnxscript passes.

    Returns:
        The path written.

    Raises:
        ValueError: The exporter cannot write this model at this operator set.
    """
    import torch

    target = Path(path)
    number = opset or DEFAULT_OPSET[exporter]
    _refuse(built, exporter, number)
    with _quiet(), torch.no_grad():
        write = _torchscript if exporter == "torchscript" else _dynamo
        write(built, target, dynamic, optimize, number)
    if exporter == "dynamo" and number < _DYNAMO_WRITES:
        _check_conversion(target, number)
    return target


def _refuse(built: Built, exporter: Exporter, opset: int) -> None:
    for limit in built.limits:
        if limit.exporter == exporter and opset < limit.opset:
            raise ValueError(f"{exporter} needs opset {limit.opset} for this model: {limit.reason}")


def _check_conversion(target: Path, opset: int) -> None:
    """Torch converts to lower opsets afterwards; where it cannot, it says so in a log, or nowhere.

    Raises:
        ValueError: The file is of another opset, or invalid; it is removed.
    """
    import onnx

    model = onnx.load(target)
    found = next(o.version for o in model.opset_import if o.domain == "")
    try:
        if found == opset:
            onnx.checker.check_model(model)
            return
        cause = f"it stayed at {found}"
    except onnx.checker.ValidationError as error:
        cause = str(error).splitlines()[0]
    target.unlink()
    raise ValueError(f"dynamo could not convert this model to opset {opset}: {cause}")


def _names_and_opset(built: Built, opset: int) -> dict[str, Any]:
    return {
        "input_names": list(built.input_names),
        "output_names": list(built.output_names),
        "opset_version": opset,
    }


def _torchscript(built: Built, target: Path, dynamic: bool, optimize: bool, opset: int) -> None:
    import torch

    preserve: dict[str, Any] = {} if optimize else {"training": torch.onnx.TrainingMode.PRESERVE}
    torch.onnx.export(
        built.module,
        built.example_inputs,
        str(target),
        dynamo=False,
        dynamic_axes=built.dynamic_axes if dynamic else None,
        do_constant_folding=optimize,
        **preserve,
        **_names_and_opset(built, opset),
    )


def _dynamo(built: Built, target: Path, dynamic: bool, optimize: bool, opset: int) -> None:
    import torch

    torch.onnx.export(
        built.module,
        built.example_inputs,
        str(target),
        dynamo=True,
        dynamic_shapes=_dynamic_shapes(built) if dynamic else None,
        external_data=False,
        optimize=optimize,
        verbose=False,
        **_names_and_opset(built, opset),
    )


def _dynamic_shapes(built: Built) -> tuple[Any, ...]:
    """Symbolic dims as torch.export takes them; a sum of dims is left for it to work out."""
    import torch

    shapes: list[Any] = []
    for name in built.input_names:
        axes = built.dynamic_axes.get(name, {})
        free = {i: d for i, d in axes.items() if d not in built.specialised}
        shapes.append({i: torch.export.Dim.DYNAMIC if "+" in d else d for i, d in free.items()})
    fixed = built.fixed_arguments
    if len(shapes) == fixed:
        return tuple(shapes)
    return (*shapes[:fixed], tuple(shapes[fixed:]))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' chatter off the terminal; errors still raise."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
