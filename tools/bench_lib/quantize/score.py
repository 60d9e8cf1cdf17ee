"""Child process: how close a quantised model is to the float one on samples that it was not calibrated on.

``SUBJECT MODEL REFERENCE SAMPLES ANSWER.json``. The float model runs with onnxruntime's optimisations off, the other as users
run it. The answer also tells which operators still compute in float, read from the graph that onnxruntime saves.
"""

from __future__ import annotations

import importlib
import json
import math
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import onnx_ir as ir

from bench_lib.latency.kernels import MATRIX, kind_of
from bench_lib.quantize.samples import read
from bench_lib.quantize.subjects import Subject, named
from bench_lib.sessions import open_session
from onnxopt.runtime.fusion.saved import Saved
from onnxopt.runtime.quality.figures import worst
from onnxopt.runtime.quality.tally import Tally

_NOTHING = -999.0  # dB, where nothing is left: JSON has no infinities


def quality(model: Path, reference: Path, samples: Path) -> dict[str, float | None]:
    """SNR, cosine and top-1 agreement of the worst output, over all samples; an SNR of None is an exact match."""
    floats, other = open_session(reference, optimise=False), open_session(model)
    names = [o.name for o in floats.get_outputs() if "float" in o.type]
    tallies = {name: Tally() for name in names}
    for sample in read(samples):
        pairs = zip(floats.run(names, sample), other.run(names, sample), strict=True)
        for name, (expected, got) in zip(names, pairs, strict=True):
            tallies[name].add(expected, got)
    found = worst(tally.figures() for tally in tallies.values())
    if found is None:
        raise RuntimeError("the model has no output of floats")
    snr = None if found.snr_db == math.inf else max(found.snr_db, _NOTHING)
    return {"snr_db": snr, "cosine": found.cosine, "top1": found.top1}


def in_float(model: Path) -> tuple[dict[str, int], int]:
    """Operators that compute in float in the graph that onnxruntime makes of a model, and how many are matrix work."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "saved.onnx"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        graph = ir.load(path)
        saved = Saved(graph, graph)
        found = [node for node in saved.nodes if saved.in_float(node)]
    matrix = sum(kind_of(node.op_type) == MATRIX for node in found)
    return dict(Counter(node.op_type for node in found).most_common()), matrix


def measures(subject: Subject, model: Path, reference: Path) -> dict[str, float]:
    """What the subject's own module measures."""
    if not subject.has("evaluate"):
        return {}
    found: dict[str, float] = importlib.import_module(subject.import_name).evaluate(
        model, reference
    )
    return {name: float(value) for name, value in found.items()}


def main() -> None:
    """Entry point."""
    subject = named(sys.argv[1])
    model, reference, samples, answer = map(Path, sys.argv[2:6])
    ops, matrix = in_float(model)
    found: dict[str, Any] = {"quality": quality(model, reference, samples)}
    found |= {"float_ops": ops, "float_matrix": matrix}
    found["measures"] = measures(subject, model, reference)
    answer.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
