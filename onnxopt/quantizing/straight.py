"""Weights alone, with nothing to judge the result on: from file to file in one go.

There is nothing to choose then, so the model need be neither copied nor run. Weights are read, rounded and written one at a
time: a model larger than memory passes through.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from ..compiler.compile import optimise
from ..errors import UsageError
from .account import Account, Trial
from .request import Request

if TYPE_CHECKING:
    from ..compiler.options import Options
    from ..compiler.result import Result
    from ..compiler.staging import Origin, Source

MODE = "weight-only"
LARGE = 2 << 30
"""Bytes above which a model is not run only to be timed, or to find that the result resembles it on random inputs."""
_RULE = "quantize-weights"
_PRODUCTS = ("MatMul", "Gemm")


def suits(origin: Origin, request: Request, options: Options, mode: str) -> bool:
    """Whether a quantisation is one that nothing has to be run for."""
    if mode != MODE or request.judged_on is not None or request.strict_fusion:
        return False
    return not options.validate or (origin.size() > LARGE and not options.require_validation)


def straight(
    source: Source,
    output: Path | None,
    origin: Origin,
    pipeline: str,
    options: Options,
    notes: list[str],
) -> Result:
    """Quantises the weights of a model.

    Args:
        source: The model.
        output: Where the result goes; None keeps it in memory.
        origin: The model as a file.
        pipeline: All passes.
        options: How to run and to write.
        notes: What a user should know already.

    Raises:
        OnnxoptError: As the command line's exit codes say; nothing is written then.
    """
    from ..runtime.validation import Validation

    if not any(node.op_type in _PRODUCTS for node in origin.all_nodes()):
        raise UsageError(nothing(origin.label))
    asked, size = options.validate, origin.size()
    options = dataclasses.replace(options, passes=pipeline, validate=False)
    result = optimise(source, output, options)
    if asked:
        result.validation = Validation(
            "not-validated",
            f"models as large as this ({size / 1e9:.1f} GB) are only run where that is asked for: add "
            "--require-validation",
        )
    layers = result.stats.fired.get(_RULE, 0)
    account = Account(MODE, "", trials=[Trial(MODE, layers=layers)], notes=list(notes))
    if not layers:
        account.notes.append("nothing could be quantised; --stats tells why")
    result.quantisation = account
    return result


def nothing(label: str) -> str:
    """What is said of a model without weights to quantise."""
    return f"{label}: nothing to quantise: it has no MatMul or Gemm with a constant matrix"
