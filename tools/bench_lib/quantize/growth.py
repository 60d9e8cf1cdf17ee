"""How a calibration's memory and time grow with samples: each method at each count, in a fresh process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from bench_lib.measure import python, run, settle
from bench_lib.outputs import Progress, child
from bench_lib.quantize.calibration_results import CalibrationCase, CalibrationRow
from bench_lib.quantize.measuring import Amount, draw, source_of
from bench_lib.quantize.subjects import Subject

CAP = 128  # onnxruntime's histograms keep every value: more samples than that take all memory
WAYS = (
    ("plain", "inference"),
    ("onnxopt", "minmax"),
    ("onnxopt", "moving-average"),
    ("onnxopt", "percentile:99.99"),
    ("onnxopt", "entropy"),
    ("onnxopt", "mse"),
    ("onnxruntime", "MinMax"),
    ("onnxruntime", "Percentile"),
    ("onnxruntime", "Entropy"),
)


def bench_growth(
    subject: Subject,
    counts: Sequence[int],
    *,
    limit: float,
    work: Path,
    progress: Progress,
    ways: Sequence[tuple[str, str]] = WAYS,
) -> CalibrationCase:
    """Calibrate a model with each number of samples.

    Args:
        subject: The model.
        counts: Numbers of samples, ascending.
        limit: Seconds a calibration may take; a method that fails is not tried with more samples.
        work: Folder for samples and models.
        progress: Receives a line about each step.
        ways: Tools and their methods; plain inference first.

    Returns:
        A row for each, or the reason why the model could not be had.
    """
    progress(f"{subject.label}: the model and {counts[-1]} samples")
    try:
        source = source_of(subject, work)
        samples = draw(subject, source, Amount(counts[-1], 0), work) / "calibration"
        model = work / "float.onnx"
        files = ("optimize", source, "-o", model)
        child(python("onnxopt", *files, "--no-validate", *subject.options), work)
    except RuntimeError as error:
        return CalibrationCase(subject.label, str(error))
    case = CalibrationCase(subject.label, rows=[CalibrationRow(*way) for way in ways])
    there = len(list(samples.glob("*.npz")))
    for count in counts:
        for row in case.rows:
            if row.failure or (row.tool == "onnxruntime" and count > CAP):
                continue
            if count > there:
                row.failure = f"there are {there} samples"
                continue
            progress(f"{subject.label}: {row.tool} {row.method}, {count} samples")
            _add(row, model, samples, count, limit, work)
    return case


def _add(
    row: CalibrationRow, model: Path, samples: Path, count: int, limit: float, work: Path
) -> None:
    answer = work / "answer.json"
    answer.unlink(missing_ok=True)
    settle(model)
    words = (row.tool, model, samples, str(count), row.method, answer)
    command = python("bench_lib.quantize.calibrate", *words)
    outcome = run(command, limit=limit, log=work / "calibrate.log")
    if not outcome.ok:
        row.failure = outcome.failure
        return
    found = json.loads(answer.read_text())
    row.counts.append(count)
    row.seconds.append(round(found.get("seconds", outcome.seconds), 3))
    row.peaks_mb.append(round(found["peak_mb"], 1))
