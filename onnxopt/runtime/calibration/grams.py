"""Gram matrices of a model's values over samples: the parent's side, which orders and waits."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnx_ir as ir

from onnxopt.runtime.calibration import outputs
from onnxopt.runtime.calibration.job import GROUP_BYTES, CalibrationJob
from onnxopt.runtime.calibration.preparing import (
    GRACE_S,
    Progress,
    file_of,
    result_of,
    subject_of,
    told,
)
from onnxopt.runtime.child import python, run_child
from onnxopt.runtime.readers.options import ReaderOptions

_WORKER = python("onnxopt.runtime.calibration.sums_worker")


@dataclass
class Summed:
    """What was added up.

    Attributes:
        files: by the value's name, a file of numpy's: float64 [K, K]. A value that no sample reached has none.
        finished: False if it was interrupted: the matrices are those of the samples until then.
        refused: value -> why it has none.
    """

    files: dict[str, Path] = field(default_factory=dict)
    finished: bool = True
    refused: dict[str, str] = field(default_factory=dict)


def sum_grams(
    model: ir.Model | str | os.PathLike[str],
    samples: str,
    names: Sequence[str],
    into: Path,
    *,
    options: ReaderOptions | None = None,
    state: Mapping[str, str] | None = None,
    provider: str = "CPUExecutionProvider",
    custom_op_libraries: Sequence[str] = (),
    timeout_s: float = 600.0,
    threads: int | None = None,
    group_bytes: int = GROUP_BYTES,
    on_progress: Progress | None = None,
) -> Summed:
    """Run a model on samples and add up X^T X of some of its values [..., K], each row counting once.

    The child process holds 8 K^2 bytes a value, so whoever names many large ones should ask for a few at a time.

    Args:
        model: the model, which is not changed, or its file.
        samples: where samples are: see `onnxopt.runtime.readers.opening.open_reader`.
        names: the values: inputs, or outputs of nodes of the main graph.
        into: the folder that the matrices are written to.
        options: how to read samples; ``options.limit`` of them at most.
        state: output name -> name of the input it is fed back to from sample to sample.
        provider: full provider name.
        custom_op_libraries: shared libraries that register custom operators.
        timeout_s: seconds that loading the model, and each sample, may take.
        threads: of the session; None for all cores.
        group_bytes: values are fetched in passes over the samples, of so many bytes of values at most.
        on_progress: called at each sample.

    Raises:
        UsageError: no samples, one that does not fit, an unknown value or state.
        ModelError: the model does not load, does not run on a sample, crashes or hangs.
        RuntimeMissingError: onnxruntime or Pillow is not installed.
    """
    subject = subject_of(model, samples, options, state)
    chosen = outputs.choose(subject.graph, names)
    with tempfile.TemporaryDirectory(prefix="onnxopt-") as name:
        folder = Path(name)
        job = CalibrationJob(
            model=file_of(model, folder),
            samples=samples,
            options=subject.options.to_json(),
            specs=[spec.to_json() for spec in subject.specs],
            inputs=chosen.inputs,
            values=chosen.values,
            save_to=str(into.absolute()),
            state=subject.state,
            provider=provider,
            custom_op_libraries=[os.path.abspath(library) for library in custom_op_libraries],
            group_bytes=group_bytes,
            threads=threads,
            reference=isinstance(model, ir.Model),
        )
        job.write(folder)
        grace = min(timeout_s, GRACE_S)
        result = result_of(run_child(folder, timeout_s, told(on_progress), _WORKER, grace))
    files = {name: into / file for name, file in result.get("files", {}).items()}
    return Summed(files, bool(result.get("finished")), dict(result.get("refused", {})))
