"""Observing a model in its child process."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from onnxopt.errors import ModelError, UsageError
from onnxopt.io import load
from onnxopt.quantization import statistics
from onnxopt.quantization.statistics import Statistics
from onnxopt.quantization.wants import Wants
from onnxopt.runtime.calibration import outputs
from onnxopt.runtime.calibration.job import CalibrationJob
from onnxopt.runtime.calibration.ledger import counts_path
from onnxopt.runtime.calibration.observe import Observation, observe
from onnxopt.runtime.calibration.planning import write_group
from onnxopt.runtime.readers.options import ReaderOptions
from onnxopt.runtime.sessions import make_session

Writer = Callable[..., Path]
Loader = Callable[..., ir.Model]

TEXT = """<ir_version: 8, opset_import: ["": 17]>
g (float[N, 3] x) => (float[N, 3] y) <float[3] w = {1, -2, 3}>
{ a = Mul(x, w)
  b = Relu(a)
  y = Neg(b) }"""
W = np.array([1, -2, 3], np.float32)

RECURRENT = """<ir_version: 8, opset_import: ["": 17]>
g (float[1, 3] x, float[1, 3] h) => (float[1, 3] y, float[1, 3] hn)
{ hn = Add(x, h)
  y = Neg(hn) }"""


def _range(result: Observation | Statistics, name: str) -> tuple[float, float]:
    gathered = result.statistics if isinstance(result, Observation) else result
    return gathered.tensors[name].low, gathered.tensors[name].high


@pytest.fixture
def x(tmp_path: Path, rng: np.random.Generator) -> np.ndarray:
    """30 samples, in ``x.npz``."""
    x = rng.standard_normal((30, 3)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    return x


def test_a_sample_at_fault_is_named(tmp_path: Path, write: Writer, x: np.ndarray) -> None:
    x[7, 1] = np.nan
    np.savez(tmp_path / "x.npz", x=x)
    with pytest.raises(UsageError, match=r"x\.npz, sample 7: input 'x' holds NaN"):
        observe(write(TEXT), f"{tmp_path}/x.npz", {"a": Wants()})


def test_a_model_that_does_not_run_on_a_sample(tmp_path: Path, write: Writer) -> None:
    path = write("""<ir_version: 8, opset_import: ["": 17]>
        g (float[N, K] x) => (float[N, 3] y) <float[3] w = {1, -2, 3}> { y = Mul(x, w) }""")
    np.savez(tmp_path / "x.npz", x=np.ones((2, 2), np.float32))
    with pytest.raises(ModelError, match=r"sample 0: the model does not run on it: "):
        observe(path, f"{tmp_path}/x.npz", {"y": Wants()})


def test_a_function_that_kills_the_process(tmp_path: Path, write: Writer) -> None:
    (tmp_path / "killing.py").write_text(
        "import os, numpy as np\ndef give():\n yield np.ones((1, 3), np.float32)\n os.abort()\n"
    )
    options = ReaderOptions(folder=str(tmp_path))
    with pytest.raises(ModelError, match=r"calibration at sample 1: the runtime crashed: SIGABRT"):
        observe(write(TEXT), "killing:give", {"a": Wants()}, options=options)


@pytest.mark.parametrize("in_memory", [False, True])
@pytest.mark.parametrize("group_bytes", [512 << 20, 1])
def test_every_sample_counts(
    tmp_path: Path, write: Writer, x: np.ndarray, in_memory: bool, group_bytes: int
) -> None:
    path = write(TEXT)
    steps: list[tuple[int, int, int]] = []
    wants = {"x": Wants(), "a": Wants(histogram=True), "b": Wants(channels=1), "y": Wants()}
    result = observe(
        load(path) if in_memory else path,
        f"{tmp_path}/x.npz",
        wants,
        group_bytes=group_bytes,
        on_progress=lambda *step: steps.append(step),
    )
    a, b = x * W, np.maximum(x * W, 0)
    assert result.finished
    assert result.refused == {}
    assert result.statistics.samples == 30
    assert _range(result, "x") == (x.min(), x.max())
    assert _range(result, "a") == (a.min(), a.max())
    assert _range(result, "y") == (-b.max(), 0)
    tensors = result.statistics.tensors
    assert tensors["a"].histogram is not None
    assert tensors["a"].histogram.total == 90
    assert tensors["b"].channels is not None
    assert tensors["b"].channels.largest is not None
    np.testing.assert_array_equal(tensors["b"].channels.largest, b.max(axis=0))
    passes = 3 if group_bytes == 1 else 1
    assert steps == [(n, p, passes) for p in range(1, passes + 1) for n in range(1, 31)]


def test_a_limit(tmp_path: Path, write: Writer, x: np.ndarray) -> None:
    result = observe(
        write(TEXT), f"{tmp_path}/x.npz", {"x": Wants()}, options=ReaderOptions(limit=4)
    )
    assert result.statistics.samples == 4
    assert _range(result, "x") == (x[:4].min(), x[:4].max())


def test_sizes_vary_and_may_be_zero(tmp_path: Path, write: Writer) -> None:
    (tmp_path / "varying.py").write_text(
        "import numpy as np\n"
        "def give(): return (np.full((n, 3), n, np.float32) for n in (2, 0, 5, 1))\n"
    )
    options = ReaderOptions(folder=str(tmp_path))
    result = observe(write(TEXT), "varying:give", {"a": Wants()}, options=options)
    assert result.statistics.samples == 4
    assert result.statistics.tensors["a"].count == 24
    assert _range(result, "a") == (-10, 15)


def test_values_of_other_types_are_refused(tmp_path: Path, write: Writer, x: np.ndarray) -> None:
    path = write("""<ir_version: 8, opset_import: ["": 17]>
        g (float[N, 3] x) => (float[N, 3] y)
        { s = Shape(x) d = Cast<to = 11>(x) h = Cast<to = 10>(x) e = Log(x) y = Neg(x) }""")
    result = observe(path, f"{tmp_path}/x.npz", {name: Wants() for name in "sdhey"})
    assert sorted(result.refused) == ["e", "s"]
    assert "int64" in result.refused["s"]
    assert "sample 0" in result.refused["e"]
    assert _range(result, "d") == (x.min(), x.max())
    half = x.astype(np.float16)
    assert _range(result, "h") == (half.min(), half.max())


def test_bfloat16(tmp_path: Path, write: Writer, x: np.ndarray) -> None:
    import ml_dtypes

    path = write("""<ir_version: 8, opset_import: ["": 17]>
        g (float[N, 3] x) => (float[N, 3] y) { c = Cast<to = 16>(x) y = Cast<to = 1>(c) }""")
    result = observe(path, f"{tmp_path}/x.npz", {"c": Wants()})
    rounded = x.astype(ml_dtypes.bfloat16).astype(np.float32)
    assert _range(result, "c") == (rounded.min(), rounded.max())


@pytest.mark.parametrize("group_bytes", [512 << 20, 1])
def test_state_runs_along_a_sequence(tmp_path: Path, write: Writer, group_bytes: int) -> None:
    np.savez(tmp_path / "x.npz", x=np.ones((5, 3), np.float32))
    wants = {"h": Wants(), "hn": Wants(), "y": Wants()}
    state = {"hn": "h"}
    result = observe(
        write(RECURRENT), f"{tmp_path}/x.npz", wants, state=state, group_bytes=group_bytes
    )
    assert (_range(result, "h"), _range(result, "hn"), _range(result, "y")) == (
        (0, 4),
        (1, 5),
        (-5, -1),
    )


def test_state_begins_anew_with_each_sequence(tmp_path: Path, write: Writer) -> None:
    (tmp_path / "sequences.py").write_text(
        "import numpy as np\nx = np.ones((1, 3), np.float32)\n"
        "def give(): return [[x, x, x], [{'x': x, 'h': 10 * x}, x]]\n"
    )
    options = ReaderOptions(folder=str(tmp_path))
    state = {"hn": "h"}
    result = observe(
        write(RECURRENT), "sequences:give", {"hn": Wants()}, state=state, options=options
    )
    assert _range(result, "hn") == (1, 12)
    assert result.statistics.tensors["hn"].mean_range[0] == (1 + 2 + 3 + 11 + 12) / 5


SLOW = """
import time
import numpy as np
x = np.random.default_rng(3).standard_normal((60, 1, 3)).astype(np.float32)
def give():
    for sample in x:
        time.sleep(0.02)
        yield [sample]
"""


@pytest.mark.parametrize("group_bytes", [512 << 20, 1])
def test_an_interrupt_keeps_what_was_gathered_and_can_be_gone_on_from(
    tmp_path: Path, write: Writer, group_bytes: int
) -> None:
    (tmp_path / "slowly.py").write_text(SLOW)
    path, wants = write(TEXT), {"x": Wants(), "a": Wants(True), "y": Wants(channels=1)}
    options = ReaderOptions(folder=str(tmp_path))
    checkpoint = tmp_path / "s.json"

    def interrupt(sample: int, number: int, passes: int) -> None:
        if sample == 20 and number == passes:
            raise KeyboardInterrupt

    def run(
        checkpoint: Path | None, progress: Callable[[int, int, int], None] | None
    ) -> Observation:
        return observe(
            path,
            "slowly:give",
            wants,
            options=options,
            group_bytes=group_bytes,
            checkpoint=checkpoint,
            on_progress=progress,
        )

    broken = run(checkpoint, interrupt)
    assert not broken.finished
    assert 19 <= broken.statistics.samples < 60
    assert counts_path(checkpoint).exists()
    resumed = run(checkpoint, None)
    assert resumed.finished
    assert not counts_path(checkpoint).exists()
    whole = run(None, None)
    assert resumed.statistics.samples == 60
    whole.statistics.save(tmp_path / "whole.json")
    assert checkpoint.read_text() == (tmp_path / "whole.json").read_text()


@pytest.mark.usefixtures("interruptible")
def test_a_second_interrupt_ends_it_at_once(tmp_path: Path, write: Writer) -> None:
    """The first is at a sample that never ends, so that asking is in vain."""
    (tmp_path / "hanging.py").write_text(
        "import time, numpy as np\nx = np.ones((1, 3), np.float32)\n"
        "def give():\n yield x\n time.sleep(600)\n yield x\n"
    )
    said: list[int] = []

    def interrupt(sample: int, number: int, passes: int) -> None:
        assert (number, passes) == (1, 1)
        said.append(sample)
        threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
        raise KeyboardInterrupt

    options = ReaderOptions(folder=str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        observe(write(TEXT), "hanging:give", {"a": Wants()}, options=options, on_progress=interrupt)
    assert said == [1]


def test_unfinished_runs_of_others_are_refused(
    tmp_path: Path, write: Writer, x: np.ndarray
) -> None:
    assert len(x) == 30
    checkpoint, source = tmp_path / "s.json", f"{tmp_path}/x.npz"
    path = write(TEXT)
    observe(path, source, {"a": Wants()}, checkpoint=checkpoint, fingerprint="f")
    assert statistics.load(checkpoint).samples == 30
    counts_path(checkpoint).write_text("{}")
    for wants, fingerprint, message in [
        ({"a": Wants()}, "g", "of another model"),
        ({"b": Wants()}, "f", "with other options"),
        ({"a": Wants()}, "f", "cannot be read"),
    ]:
        with pytest.raises(UsageError, match=message):
            observe(path, source, wants, checkpoint=checkpoint, fingerprint=fingerprint)
    counts_path(checkpoint).unlink()
    observe(path, source, {"b": Wants()}, checkpoint=checkpoint, fingerprint="g")
    assert list(statistics.load(checkpoint).tensors) == ["b"]


def test_weights_tell_models_apart(tmp_path: Path, write: Writer, x: np.ndarray) -> None:
    assert len(x) == 30
    found = [
        observe(write(text), f"{tmp_path}/x.npz", {"a": Wants()}).statistics.fingerprint
        for text in (TEXT, TEXT, TEXT.replace("-2", "-4"))
    ]
    assert found[0] == found[1] != found[2]


DIGITS = Path(__file__).parents[3] / "models" / "digits_cnn.onnx"


def test_observed_values_are_those_of_the_model_as_written(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    """The session is optimised; every value of a CNN is what it is without, up to rounding."""
    model = load(DIGITS)
    names = list(outputs.named(model))
    shape = [dim if isinstance(dim, int) else 2 for dim in model.graph.inputs[0].shape or []]
    feed = {model.graph.inputs[0].name or "": rng.random(shape).astype(np.float32)}
    job = CalibrationJob(str(DIGITS), "", {}, [], [], names, "")
    path = write_group(job, tmp_path, names)
    written = make_session(path, level="disabled").run(None, feed)
    optimised = make_session(path, level="default").run(None, feed)
    assert len(names) > 5
    for name, one, other in zip(names, written, optimised, strict=True):
        scale = float(np.abs(one).max()) or 1.0
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5 * scale, err_msg=name)


MEASURE = """
import resource, sys
from pathlib import Path
from onnxopt.quantization.wants import Wants
from onnxopt.runtime.calibration.observe import observe
from onnxopt.runtime.readers.options import ReaderOptions
model, samples, limit = sys.argv[1:]
wants = {name: Wants(True, 1) for name in ("x", "a", "b", "y")}
result = observe(model, samples, wants, options=ReaderOptions(limit=int(limit)))
assert result.statistics.samples == int(limit)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def test_memory_does_not_grow_with_samples(tmp_path: Path, write: Writer) -> None:
    """The archive is over 100 MB; the process that observes needs as much for 512 samples as for 8."""
    block = np.random.default_rng(0).standard_normal((8, 64, 32, 32)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=np.tile(block, (64, 1, 1, 1)))
    model = write("""<ir_version: 8, opset_import: ["": 17]>
        g (float[N, 64, 32, 32] x) => (float[N, 64, 32, 32] y)
        { a = Tanh(x) b = Relu(a) y = Neg(b) }""")
    peaks = [
        int(
            subprocess.run(
                [sys.executable, "-c", MEASURE, str(model), str(tmp_path / "x.npz"), str(count)],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        for count in (8, 512)
    ]
    assert (tmp_path / "x.npz").stat().st_size > 100e6
    assert peaks[1] <= 1.1 * peaks[0]
