"""Child process: one calibration of a model, or plain inference over the same samples, timed and weighed.

``WHO MODEL SAMPLES COUNT METHOD ANSWER.json``, where WHO is ``onnxopt``, ``onnxruntime`` or ``plain``. Memory is the high-water
mark of the process that does the work, as the kernel keeps it: for onnxopt that is a child of this one, watched from here.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench_lib.quantize.samples import read

TARGET = "ort-cpu"
_PAUSE = 0.02


class Meter:
    """Adds up the seconds within it, and keeps the largest high-water mark of this process's children in MB."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.peak_mb = 0.0
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measures what runs within."""
        self._stop.clear()
        watch = threading.Thread(target=self._watch, daemon=True)
        watch.start()
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - started
            self._stop.set()
            watch.join()

    def _watch(self) -> None:
        while not self._stop.wait(_PAUSE):
            for pid in _children():
                self.peak_mb = max(self.peak_mb, high_water(pid))


def high_water(pid: int | str = "self") -> float:
    """The largest resident set that a process has had so far, in MB (10^6 bytes); 0 for one that has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(found[0]) * 1024 / 1e6 if found else 0.0


def onnxopt(model: Path, samples: Path, count: int, method: str) -> dict[str, float]:
    """Ours: what the static mode of ``onnxopt quantize`` gathers, and nothing of what it judges later."""
    from onnxopt.compiler.aim import aimed
    from onnxopt.compiler.options import Options
    from onnxopt.compiler.staging import Origin
    from onnxopt.quantizing.calibrating import Calibration
    from onnxopt.quantizing.request import Request, Samples
    from onnxopt.quantizing.workshop import Workshop

    meter = Meter()

    class Timed(Calibration):
        def __call__(self, graph: Any, wants: Mapping[str, Any]) -> Any:
            with meter.running():
                return super().__call__(graph, wants)

    request = Request(mode="static", calibration=Samples(str(samples), count), method=method)
    options = aimed(Options(target=TARGET))
    with Workshop(Origin(model), request, options, Timed(request, options), 8) as workshop:
        workshop.make("static")
    return {"seconds": meter.seconds, "peak_mb": meter.peak_mb}


def onnxruntime(model: Path, samples: Path, count: int, method: str) -> dict[str, float]:
    """onnxruntime's calibrator, for the operators that ``quantize_static`` quantises."""
    from onnxruntime.quantization import CalibrationMethod
    from onnxruntime.quantization.calibrate import create_calibrator
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    from bench_lib.quantize.run_ort import Reader

    started = time.perf_counter()
    calibrator = create_calibrator(
        model,
        list({*QDQRegistry, *QLinearOpsRegistry}),
        augmented_model_path=str(samples.parent / "augmented.onnx"),
        calibrate_method=CalibrationMethod[method],
    )
    calibrator.collect_data(Reader(samples, count))
    calibrator.compute_data()
    return {"seconds": time.perf_counter() - started, "peak_mb": high_water()}


def plain(model: Path, samples: Path, count: int, _: str) -> dict[str, float]:
    """Inference and nothing else."""
    from bench_lib.sessions import open_session

    session = open_session(model)
    for sample in read(samples, count):
        session.run(None, sample)
    return {"peak_mb": high_water()}  # timed from outside, so that it starts a process as ours does


WHO: dict[str, Callable[[Path, Path, int, str], dict[str, float]]] = {
    "onnxopt": onnxopt,
    "onnxruntime": onnxruntime,
    "plain": plain,
}


def _children() -> list[str]:
    own = os.getpid()
    found: list[str] = []
    for task in Path(f"/proc/{own}/task").iterdir():
        try:
            found += (task / "children").read_text().split()
        except OSError:  # the thread has ended, or the kernel does not tell
            continue
    return found


def main() -> None:
    """Entry point."""
    who, model, samples, count, method, answer = sys.argv[1:]
    found = WHO[who](Path(model), Path(samples), int(count), method)
    Path(answer).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
