"""Writing is atomic: whatever happens, the target is the old file or the new one, and nothing is left over."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from onnxopt import io
from onnxopt.errors import ModelError, UsageError

from .protos import floats, small_model


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A model file with a weight of 360 kB in a folder of its own."""
    folder = tmp_path / "source"
    folder.mkdir()
    path = folder / "in.onnx"
    path.write_bytes(small_model(floats(300, 300)).SerializeToString())
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    return folder / "out.onnx"


def lazy(compute: Callable[[], Any], like: ir.Value) -> ir.LazyTensor:
    tensor = like.const_value
    assert tensor is not None
    assert isinstance(tensor.shape, ir.Shape)
    return ir.LazyTensor(compute, tensor.dtype, tensor.shape, name=like.name)


def with_weight(model: ir.Model, compute: Callable[[], Any]) -> ir.Model:
    value = model.graph.initializers["w"]
    value.const_value = lazy(compute, value)
    return model


def test_lazy_weights_are_computed_once_and_written(source: Path, target: Path) -> None:
    model = io.load(source)
    weight = model.graph.initializers["w"].const_value
    assert weight is not None
    calls = []

    def compute() -> ir.TensorProtocol:
        calls.append(1)
        return ir.tensor(weight.numpy().T * 2)

    io.save(with_weight(model, compute), target)
    assert calls == [1]
    written = numpy_helper.to_array(onnx.load(target).graph.initializer[0])
    assert np.array_equal(written, floats(300, 300).T * 2)


def test_a_cached_lazy_weight_is_not_computed_again(source: Path, target: Path) -> None:
    model = io.load(source)
    value = model.graph.initializers["w"]
    calls = []

    def compute() -> ir.TensorProtocol:
        calls.append(1)
        return ir.tensor(floats(300, 300, seed=4))

    tensor = lazy(compute, value)
    tensor.cache = True
    value.const_value = tensor
    tensor.numpy()
    io.save(model, target)
    assert calls == [1]


@pytest.mark.parametrize("external", ["never", "always"])
def test_a_lazy_weight_that_breaks_its_word_is_an_error(
    external: Any, source: Path, target: Path
) -> None:
    model = with_weight(io.load(source), lambda: ir.tensor(floats(2, 2)))
    with pytest.raises(ModelError, match=r"'w': announced as .* but computed as"):
        io.save(model, target, external_data=external)
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("failure", "seen"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt),
        (SystemExit(1), SystemExit),
        (RuntimeError("sums differ"), ModelError),
        (MemoryError(), ModelError),
    ],
    ids=str,
)
@pytest.mark.parametrize("external", ["never", "always"])
def test_an_interruption_leaves_the_earlier_output(
    failure: BaseException, seen: type[BaseException], external: Any, source: Path, target: Path
) -> None:
    io.save(io.load(source), target, external_data=external)
    before = {path.name: path.read_bytes() for path in target.parent.iterdir()}

    def fail() -> Any:
        raise failure

    with pytest.raises(seen) as caught:
        io.save(with_weight(io.load(source), fail), target, external_data=external)
    assert seen is not ModelError or "tensor 'w': " in str(caught.value)
    assert {path.name: path.read_bytes() for path in target.parent.iterdir()} == before


@pytest.mark.parametrize("step", ["fsync", "replace", "write", "copy_file_range"])
def test_a_failing_system_call_leaves_the_earlier_output(
    step: str, source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    io.save(io.load(source), target, external_data="always")
    before = {path.name: path.read_bytes() for path in target.parent.iterdir()}

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    real = getattr(os, step)
    calls = []

    def fail_late(*args: Any, **kwargs: Any) -> Any:
        # Of the two renames, the second fails.
        calls.append(args)
        return fail() if len(calls) == 2 else real(*args, **kwargs)

    monkeypatch.setattr(os, step, fail_late if step == "replace" else fail)
    other = io.from_proto(small_model(floats(300, 300, seed=5)))
    if step == "copy_file_range":
        other = io.load(source)
        other.doc_string = "another model"
    with pytest.raises(
        ModelError, match=r"out\.onnx: cannot be written: no space left .* free some"
    ):
        io.save(other, target, external_data="always")
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in target.parent.iterdir()} == before


_LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
from onnxopt import io
from onnxopt.errors import ModelError
try:
    io.save(io.load(sys.argv[1]), sys.argv[2], external_data=sys.argv[3])
except ModelError as error:
    print(error)
"""


@pytest.mark.parametrize("external", ["never", "always"])
def test_a_full_disk_is_one_line(external: str, source: Path, target: Path) -> None:
    target.write_bytes(b"earlier")
    command = [sys.executable, "-c", _LIMITED, str(source), str(target), external]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 1
    assert "out.onnx: cannot be written: file too large; free some space" in done.stdout
    assert [(p.name, p.read_bytes()) for p in target.parent.iterdir()] == [("out.onnx", b"earlier")]


def test_the_input_is_not_overwritten(source: Path, target: Path) -> None:
    before = source.read_bytes()
    model = io.load(source)
    target.symlink_to(source)
    hard = target.parent / "hard.onnx"
    hard.hardlink_to(source)
    for path in (source, target, hard, source.parent / "." / "in.onnx"):
        with pytest.raises(ModelError, match="was read from"):
            io.save(model, path)
    assert source.read_bytes() == before
    assert sorted(p.name for p in target.parent.iterdir()) == ["hard.onnx", "out.onnx"]


def test_the_inputs_data_is_not_overwritten_by_the_model(source: Path, target: Path) -> None:
    io.save(io.load(source), target, external_data="always")
    data = target.with_name("out.onnx.data")
    with pytest.raises(ModelError, match="was read from"):
        io.save(io.load(target), data)


def test_unsuitable_targets_are_refused(source: Path, target: Path) -> None:
    model = io.load(source)
    os.mkfifo(target.with_name("pipe"))
    target.with_name("dir").mkdir()
    for path, cause in (
        (target.with_name("dir"), "directory"),
        (target.with_name("pipe"), "pipe"),
        (Path("/dev/null"), "device"),
        (target.parent / "missing" / "out.onnx", "no folder"),
        (target.with_name("x" * 300), "cannot be written"),
    ):
        with pytest.raises(ModelError, match=cause):
            io.save(model, path)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(UsageError, match="sometimes"):
        io.save(model, target, external_data="sometimes")  # type: ignore[arg-type]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder_is_refused(source: Path, target: Path) -> None:
    target.parent.chmod(0o500)
    with pytest.raises(ModelError, match="permission denied"):
        io.save(io.load(source), target)
    target.parent.chmod(0o700)


def test_modes_follow_the_umask_and_the_earlier_file(source: Path, target: Path) -> None:
    model = io.load(source)
    previous = os.umask(0o027)
    try:
        io.save(model, target, external_data="always")
        for path in target.parent.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o640
        target.chmod(0o604)
        io.save(model, target, external_data="always")
    finally:
        os.umask(previous)
    assert stat.S_IMODE(target.stat().st_mode) == 0o604


def test_a_link_as_target_is_replaced_not_followed(source: Path, target: Path) -> None:
    other = target.with_name("other")
    other.write_bytes(b"other")
    target.symlink_to(other)
    io.save(io.load(source), target)
    assert not target.is_symlink()
    assert other.read_bytes() == b"other"


def test_copying_works_without_help_from_the_kernel(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    io.save(io.load(source), target)
    expected = target.read_bytes()
    monkeypatch.setattr(os, "copy_file_range", refuse)
    io.save(io.load(source), target)
    assert target.read_bytes() == expected
    monkeypatch.setattr(os, "sendfile", refuse)
    io.save(io.load(source), target)
    assert target.read_bytes() == expected


def test_a_file_that_shrinks_while_being_copied_is_noticed(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "copy_file_range", lambda *_, **__: 0)
    monkeypatch.setattr(os, "sendfile", lambda *_, **__: 0)
    real = os.pread

    def short(descriptor: int, size: int, offset: int) -> bytes:
        return real(descriptor, min(size, 1000), offset) if offset < 100_000 else b""

    model = io.load(source)
    monkeypatch.setattr(os, "pread", short)
    with pytest.raises(ModelError, match="changed after it was loaded"):
        io.save(model, target)
    assert list(target.parent.iterdir()) == []


def test_what_has_no_form_in_onnx_is_an_error(source: Path, target: Path) -> None:
    model = io.load(source)
    model.graph.initializers["w"].const_value = None
    with pytest.raises(ModelError, match=r"out\.onnx: initializer 'w' has no value"):
        io.save(model, target)
    model = io.load(source)
    model.graph[0].attributes.add(ir.AttrInt64("big", 2**70))
    with pytest.raises(ModelError, match=r"out\.onnx: the model has no ONNX form"):
        io.save(model, target)
    assert list(target.parent.iterdir()) == []


def test_saving_does_not_change_the_model(source: Path, target: Path) -> None:
    model = io.load(source)
    first = io.to_proto(model)
    io.save(model, target, external_data="always")
    assert io.to_proto(model) == first


def test_without_weights_a_message_has_types_and_dims_only(source: Path) -> None:
    proto = io.to_proto(io.load(source), weights=False)
    weight = proto.graph.initializer[0]
    assert (list(weight.dims), weight.data_type) == ([300, 300], onnx.TensorProto.FLOAT)
    assert proto.ByteSize() < 1000
