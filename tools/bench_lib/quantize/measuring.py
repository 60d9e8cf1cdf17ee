"""One model: each tool's output is made once, scored on samples apart, and all are timed in interleaved rounds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_lib import cases
from bench_lib.contenders import ONNXRUNTIME, Contender
from bench_lib.latency.results import Setting
from bench_lib.latency.rounds import Plan, race
from bench_lib.measure import python, run, settle
from bench_lib.outputs import CHECK_LIMIT, Progress, child, count
from bench_lib.quantize.quantisers import Quantiser, report_of
from bench_lib.quantize.results import QuantizeCase, QuantizeRow, faster
from bench_lib.quantize.subjects import Subject, argument

CLOSE = 0.05  # settings within this of the fastest are chosen among by accuracy
_NOTE = "note: "


@dataclass(frozen=True)
class Amount:
    """How many samples.

    Attributes:
        calibration: To calibrate with.
        evaluation: To measure accuracy on.
    """

    calibration: int
    evaluation: int


def bench_case(
    subject: Subject,
    quantisers: Sequence[Quantiser],
    amount: Amount,
    setting: Setting,
    plan: Plan,
    *,
    work: Path,
    progress: Progress,
) -> QuantizeCase:
    """Compare ``quantisers`` on a model.

    Args:
        subject: The model.
        quantisers: Who takes part, the original first.
        amount: How many samples.
        setting: How models are run: batch 1, and the threads.
        plan: How to measure latency, and how long a tool may take.
        work: Folder for samples and outputs.
        progress: Receives a line about each step.

    Returns:
        A row for each that is worth trying on the model, also for what failed; none, and the reason, if the model or
        its samples could not be had.
    """
    progress(f"{subject.label}: the model and its samples")
    try:
        source = source_of(subject, work)
        samples = draw(subject, source, amount, work)
        facts = count(source, work)
    except RuntimeError as error:
        return QuantizeCase(subject.label, failure=str(error))
    found = QuantizeCase(subject.label, facts["nodes"], facts["bytes"], _counted(samples))
    products = _of_products(facts["ops"])
    entrants: list[tuple[QuantizeRow, Path]] = []
    for quantiser in quantisers:
        if quantiser.products and not products:
            continue
        progress(f"{subject.label}: {quantiser.name}")
        bench = _Bench(subject, source, samples, plan.limit, work)
        row, path = bench.made(quantiser)
        found.rows.append(row)
        if row.status == "ok":
            entrants.append((row, path))
    inputs = sorted((samples / "evaluation").glob("*.npz"))[0]
    found.busy = race(
        subject.label, entrants, inputs, setting, plan, work=work, progress=progress, profiled=False
    )
    mark_best(found)
    return found


def source_of(subject: Subject, work: Path) -> Path:
    """Path of a subject's model; exported in a child where it is not there yet.

    Raises:
        RuntimeError: It cannot be had.
    """
    if subject.case is not None:
        return cases.ensure(subject.case, work)
    answer = work / "source.txt"
    command = python("bench_lib.quantize.source", answer, argument(subject), work)
    outcome = run(command, limit=cases.EXPORT_LIMIT, log=work / "source.log")
    if not outcome.ok:
        raise RuntimeError(outcome.failure)
    return Path(answer.read_text())


def draw(subject: Subject, source: Path, amount: Amount, work: Path) -> Path:
    """Folder of the samples, written by a child.

    Raises:
        RuntimeError: There are none.
    """
    folder = work / "samples"
    numbers = (str(amount.calibration), str(amount.evaluation))
    child(python("bench_lib.quantize.samples", argument(subject), folder, *numbers, source), work)
    return folder


def mark_best(case: QuantizeCase) -> None:
    """Mark the most accurate setting of onnxruntime among those about as fast as the fastest."""
    speeds = [(faster(row, case.of_role("original")), row) for row in case.rows]
    known = [(speed, row) for speed, row in speeds if speed and row.role in ("default", "setting")]
    if not known:
        return
    fastest = max(speed for speed, _ in known)
    near = [row for speed, row in known if speed >= fastest * (1 - CLOSE)]
    max(near, key=lambda row: row.snr).best = True


def told(report: dict[str, Any]) -> str:
    """What our command says of its choice: the mode, layers back in float, what it took back whole, and its notes."""
    account = report["quantisation"]
    trial = next(t for t in account["trials"] if t["mode"] == account["mode"])
    back = f"{account['mode']}, {len(trial['back'])} of {trial['layers']} layers left in float"
    taken = [f"taken back: {site}" for site in report["left_out"]]
    return "; ".join([back, *taken, *account["notes"]])


def _counted(samples: Path) -> tuple[int, int]:
    numbers = [len(list((samples / p).glob("*.npz"))) for p in ("calibration", "evaluation")]
    return numbers[0], numbers[1]


def _of_products(ops: dict[str, int]) -> bool:
    return ops.get("MatMul", 0) + ops.get("Gemm", 0) > ops.get("Conv", 0)


@dataclass(frozen=True)
class _Bench:
    """Lets tools work on one model."""

    subject: Subject
    source: Path
    samples: Path
    limit: float
    work: Path

    def made(self, quantiser: Quantiser) -> tuple[QuantizeRow, Path]:
        """A quantiser's row, and its file if the row's status is ``ok``."""
        package = {"default": ONNXRUNTIME, "setting": ONNXRUNTIME}.get(quantiser.role, "")
        version = Contender(quantiser.name, "peer", package).version()
        row = QuantizeRow(quantiser.name, quantiser.role, version or "")
        untouched = quantiser.role in ("original", "control")
        path = self.source
        if not untouched:
            path = self.work / quantiser.name.replace(" ", "-") / "out.onnx"
            self._produce(quantiser, row, path)
        if row.status == "ok":
            self._inspect(row, path, scored=not untouched)
        return row, path

    def _produce(self, quantiser: Quantiser, row: QuantizeRow, target: Path) -> None:
        shutil.rmtree(target.parent, ignore_errors=True)
        target.parent.mkdir(parents=True)
        settle(self.source)
        calibration = self.samples / "calibration"
        command = quantiser.command(self.subject, self.source, target, calibration)
        log = self.work / "tool.log"
        outcome = run(command, limit=self.limit, log=log)
        row.seconds, row.peak_mb = round(outcome.seconds, 2), round(outcome.peak_mb, 1)
        if not outcome.ok or not target.exists():
            row.status, row.reason = "failed", outcome.failure or "wrote no output"
            return
        last = log.read_text(errors="replace").strip().rpartition("\n")[2]
        row.note = last.removeprefix(_NOTE).strip() if last.startswith(_NOTE) else ""
        report = report_of(target)
        if report.exists():
            row.note = told(json.loads(report.read_text()))

    def _inspect(self, row: QuantizeRow, path: Path, *, scored: bool) -> None:
        answer = self.work / "score.json"
        files = (path, self.source, self.samples / "evaluation", answer)
        command = python("bench_lib.quantize.score", argument(self.subject), *files)
        outcome = run(command, limit=CHECK_LIMIT, log=self.work / "score.log")
        if not outcome.ok:
            row.status, row.reason = "failed", outcome.failure
            return
        facts = count(path, self.work)
        row.nodes, row.contrib, row.bytes = facts["nodes"], facts["contrib"], facts["bytes"]
        found = json.loads(answer.read_text())
        row.quality = found["quality"] if scored else {}
        row.measures = found["measures"]
        row.float_ops, row.float_matrix = found["float_ops"], found["float_matrix"]
