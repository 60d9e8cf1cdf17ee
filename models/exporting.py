"""Both of torch's exporters behind one call."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from models.build import Built

Exporter = Literal["torchscript", "dynamo"]
EXPORTERS: tuple[Exporter, ...] = ("torchscript", "dynamo")
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
    """
    import torch

    target = Path(path)
    common: dict[str, Any] = {
        "input_names": list(built.input_names),
        "output_names": list(built.output_names),
        "opset_version": opset or DEFAULT_OPSET[exporter],
    }
    with _quiet(), torch.no_grad():
        if exporter == "torchscript":
            _torchscript(built, target, dynamic, optimize, common)
        else:
            _dynamo(built, target, dynamic, optimize, common)
    return target


def _torchscript(
    built: Built, target: Path, dynamic: bool, optimize: bool, common: dict[str, Any]
) -> None:
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
        **common,
    )


def _dynamo(
    built: Built, target: Path, dynamic: bool, optimize: bool, common: dict[str, Any]
) -> None:
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
        **common,
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
