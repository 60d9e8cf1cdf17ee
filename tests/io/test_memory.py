"""Memory stays small whatever the model's size: weights are never read to load, nor held to save.

The models are sparse files: their weights take no space on the disk and no time to make, but would take
memory if anything touched them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from onnxopt.io import skeleton, wire

from .protos import small_model

_MIB = 1 << 20

_MEASURED = """
import json, re, sys
import numpy, onnx, onnx_ir
from onnxopt import io
from onnxopt.io import reader, writer
# Not what getrusage says: that begins with the peak of the process that started this one.
def peak(): return int(re.search("VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) >> 10
start = peak()
model = io.load(sys.argv[1])
loaded = peak()
for value in model.graph.initializers.values():
    io.content_digest(value.const_value)
compared = peak()
report = io.save(model, sys.argv[2], external_data=sys.argv[3], fsync=False)
print(json.dumps([start, loaded, compared, peak(), report.bytes + report.data_bytes]))
"""


def sparse_model(path: Path, count: int, size: int) -> int:
    """Write a model with ``count`` weights of ``size`` zero bytes each; return the file's size."""
    base = small_model()
    weight = onnx.TensorProto(data_type=onnx.TensorProto.UINT8, dims=[size])
    headers = []
    for index in range(count):
        weight.name = f"zeros{index}"
        header = weight.SerializeToString() + wire.length_prefix(9, size)
        headers.append(wire.length_prefix(5, len(header) + size) + header)
    graph = base.graph.SerializeToString()
    total = len(graph) + sum(len(header) + size for header in headers)
    base.ClearField("graph")
    with path.open("wb") as file:
        file.write(base.SerializeToString() + wire.length_prefix(7, total) + graph)
        for header in headers:
            file.write(header)
            file.seek(size, 1)
        file.truncate()
        return file.tell()


def measure(source: Path, target: Path, external: str) -> dict[str, int]:
    """Load, digest and save in a fresh process; return how much memory each step added, in MiB."""
    command = [sys.executable, "-c", _MEASURED, str(source), str(target), external]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    start, loaded, compared, saved, size = json.loads(done.stdout)
    added = {"load": loaded - start, "compare": compared - loaded, "save": saved - compared}
    return {**added, "bytes": size}


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="needs /proc for the peak of a process"
)


@needs_proc
@pytest.mark.parametrize("external", ["never", "always"])
def test_a_model_of_300_mb_takes_a_few(external: str, tmp_path: Path) -> None:
    size = sparse_model(tmp_path / "in.onnx", 6, 50 * _MIB)
    used = measure(tmp_path / "in.onnx", tmp_path / "out.onnx", external)
    assert size <= used["bytes"] + 4096
    assert used["load"] <= 8
    assert used["compare"] <= 8
    assert used["save"] <= 8


@needs_proc
def test_many_weights_take_no_more_than_few(tmp_path: Path) -> None:
    """Each header is far from the next; the pages between must not become resident."""
    sparse_model(tmp_path / "in.onnx", 3000, 100 << 10)
    used = measure(tmp_path / "in.onnx", tmp_path / "out.onnx", "never")
    assert used["load"] <= 24
    assert used["save"] <= 24


def test_the_skeleton_is_small_and_refers_to_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "in.onnx"
    size = sparse_model(path, 4, 10 * _MIB)
    with path.open("rb") as file:
        data = skeleton.extract(wire.Window(file.fileno(), size))
    assert len(data) < 2000
    proto = onnx.ModelProto.FromString(data)
    entries = {e.key: e.value for e in proto.graph.initializer[-1].external_data}
    assert int(entries["length"]) == 10 * _MIB
    assert int(entries["offset"]) == size - 10 * _MIB
