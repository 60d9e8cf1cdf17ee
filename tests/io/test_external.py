"""External data: read in place, kept inside the model's folder, checked before use, and written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxopt import io
from onnxopt.errors import ModelError

from .protos import floats, props, small_model, tensor


def reference(proto: TensorProto, **entries: object) -> None:
    """Make a tensor refer to a file."""
    proto.ClearField("raw_data")
    proto.ClearField("external_data")
    proto.data_location = TensorProto.EXTERNAL
    props(proto.external_data, **{key: str(value) for key, value in entries.items()})


def write_model(folder: Path, **entries: object) -> Path:
    """Write a model whose weight of 8192 bytes is said to be elsewhere."""
    model = small_model()
    reference(model.graph.initializer[0], **entries)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        io.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: tensor 'w': ")
    assert "\n" not in message
    return message


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data file with one weight in the middle."""
    path = tmp_path / "weights.bin"
    path.write_bytes(bytes(100) + floats(64, 32).tobytes() + bytes(50))
    return path


def test_weights_in_a_file_are_read_in_place(tmp_path: Path, data: Path) -> None:
    path = write_model(tmp_path, location=data.name, offset=100, length=8192)
    weight = io.load(path).graph.initializers["w"].const_value
    assert isinstance(weight, io.MappedTensor)
    assert (weight.path, weight.offset, weight.length) == (str(data), 100, 8192)
    assert np.array_equal(weight.numpy(), floats(64, 32))


def test_the_length_may_be_left_out(tmp_path: Path, data: Path) -> None:
    path = write_model(tmp_path, location=data.name, offset=100, checksum="ab")
    weight = io.load(path).graph.initializers["w"].const_value
    assert weight is not None
    assert np.array_equal(weight.numpy(), floats(64, 32))


def test_data_in_a_folder_below_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "w").write_bytes(floats(64, 32).tobytes())
    path = write_model(tmp_path, location="parts/w")
    assert io.load(path).graph.initializers["w"].const_value is not None


@pytest.mark.parametrize(
    ("entries", "cause"),
    [
        ({"location": "/etc/passwd"}, "absolute"),
        ({"location": "C:\\weights.bin"}, "absolute"),
        ({"location": "\\\\host\\share"}, "absolute"),
        ({"location": "../weights.bin"}, "outside the model's folder"),
        ({"location": "parts/../../weights.bin"}, "outside the model's folder"),
        ({"location": "..\\weights.bin"}, "outside the model's folder"),
        ({"location": ""}, "names no file"),
        ({"location": "a\x00b"}, "names no file"),
        ({}, "names no file"),
        ({"location": "missing.bin"}, "no such file"),
        ({"location": "."}, "directory"),
        ({"location": "weights.bin", "offset": -1}, "'-1'"),
        ({"location": "weights.bin", "offset": "1e3"}, "'1e3'"),
        ({"location": "weights.bin", "offset": "9" * 30}, "offset or length"),
        ({"location": "weights.bin", "offset": 151}, "incomplete"),
        ({"location": "weights.bin", "offset": 2**63}, "incomplete"),
        ({"location": "weights.bin", "length": 8191}, "8192 bytes but has 8191"),
        ({"location": "weights.bin", "length": -8192}, "'-8192'"),
        ({"location": "weights.bin", "length": 2**64 - 1}, "bytes but has"),
        ({"location": "x" * 300}, "cannot be read"),
    ],
    ids=str,
)
def test_unsafe_and_impossible_references_are_refused(
    entries: dict[str, object], cause: str, tmp_path: Path, data: Path
) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    (folder / data.name).write_bytes(data.read_bytes())
    assert cause in refusal(write_model(folder, **entries))


def test_pipes_and_devices_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "pipe" in refusal(write_model(tmp_path, location="pipe"))


def test_links_that_leave_the_folder_are_refused(tmp_path: Path, data: Path) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    (folder / "file").symlink_to(data)
    (folder / "dir").symlink_to(tmp_path, target_is_directory=True)
    for location in ("file", f"dir/{data.name}"):
        path = write_model(folder, location=location, offset=100)
        assert "link that leaves" in refusal(path)


def test_links_within_the_folder_are_followed(tmp_path: Path, data: Path) -> None:
    (tmp_path / "link").symlink_to(data.name)
    assert io.load(write_model(tmp_path, location="link", offset=100)) is not None


def test_a_download_cache_of_links_is_followed(tmp_path: Path) -> None:
    """The model is a link, and its data lies beside the file that the link leads to."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    blobs.mkdir()
    snapshot.mkdir()
    (blobs / "1a").write_bytes(floats(64, 32).tobytes())
    write_model(blobs, location="weights.bin").rename(blobs / "2b")
    (snapshot / "weights.bin").symlink_to(blobs / "1a")
    (snapshot / "model.onnx").symlink_to(blobs / "2b")
    assert io.load(snapshot / "model.onnx").graph.initializers["w"].const_value is not None


def test_references_in_nodes_and_sparse_tensors_are_checked_too(tmp_path: Path) -> None:
    model = small_model()
    value = tensor("", floats(64, 32))
    reference(value, location="../secret")
    model.graph.node.append(helper.make_node("Constant", [], ["c"], "konst", value=value))
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"node 'konst' .* outside the model's folder"):
        io.load(tmp_path / "m.onnx")


def test_a_message_with_external_data_needs_its_folder(tmp_path: Path, data: Path) -> None:
    proto = onnx.load(
        write_model(tmp_path, location=data.name, offset=100), load_external_data=False
    )
    with pytest.raises(ModelError, match="base_dir"):
        io.from_proto(proto)
    weight = io.from_proto(proto, tmp_path).graph.initializers["w"].const_value
    assert weight is not None
    assert np.array_equal(weight.numpy(), floats(64, 32))


def many_weights() -> onnx.ModelProto:
    model = small_model()
    for index in range(5):
        weight = tensor(f"w{index}", floats(100, 50 + index, seed=index))
        model.graph.initializer.append(weight)
    model.graph.initializer.append(tensor("tiny", floats(3)))
    inner = helper.make_graph(
        [helper.make_node("Identity", ["deep"], ["d"])],
        "b",
        [],
        [onnx.ValueInfoProto(name="d")],
        [tensor("deep", floats(40, 40, seed=9))],
    )
    model.graph.initializer.append(tensor("flag", np.array(True)))
    model.graph.node.append(
        helper.make_node("If", ["flag"], ["z"], then_branch=inner, else_branch=inner)
    )
    value = tensor("", floats(600, seed=2))
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=value))
    return model


def weights(model: onnx.ModelProto) -> dict[str, np.ndarray[Any, Any]]:
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def test_external_data_is_written_where_onnx_reads_it(tmp_path: Path) -> None:
    model = many_weights()
    (tmp_path / "in.onnx").write_bytes(model.SerializeToString())
    report = io.save(io.load(tmp_path / "in.onnx"), tmp_path / "out.onnx", external_data="always")
    data = tmp_path / "out.onnx.data"
    assert report.data_path == str(data)
    assert report.data_bytes == data.stat().st_size
    assert report.bytes == (tmp_path / "out.onnx").stat().st_size < 10_000
    raw = onnx.load(tmp_path / "out.onnx", load_external_data=False)
    outside = {t.name for t in raw.graph.initializer if t.data_location == TensorProto.EXTERNAL}
    assert outside == {"w", "w0", "w1", "w2", "w3", "w4"}
    # Runtimes do not look for external data in attributes.
    assert len(raw.graph.node[-1].attribute[0].t.raw_data) == 2400
    after, before = weights(onnx.load(tmp_path / "out.onnx")), weights(model)
    assert after.keys() == before.keys()
    assert all(np.array_equal(after[name], before[name]) for name in before)


def test_data_comes_back_inline_when_asked(tmp_path: Path) -> None:
    model = many_weights()
    (tmp_path / "in.onnx").write_bytes(model.SerializeToString())
    io.save(io.load(tmp_path / "in.onnx"), tmp_path / "ext.onnx", external_data="always")
    report = io.save(io.load(tmp_path / "ext.onnx"), tmp_path / "out.onnx", external_data="never")
    assert report.data_path is None
    raw = onnx.load(tmp_path / "out.onnx", load_external_data=False)
    before = weights(model)
    assert all(np.array_equal(array, before[name]) for name, array in weights(raw).items())


def test_auto_keeps_the_form_that_the_model_had(tmp_path: Path) -> None:
    (tmp_path / "in.onnx").write_bytes(many_weights().SerializeToString())
    model = io.load(tmp_path / "in.onnx")
    assert io.save(model, tmp_path / "one.onnx").data_path is None
    io.save(model, tmp_path / "two.onnx", external_data="always")
    again = io.load(tmp_path / "two.onnx")
    assert io.save(again, tmp_path / "three.onnx").data_path == str(tmp_path / "three.onnx.data")


def test_auto_goes_outside_above_the_limit_and_never_refuses(tmp_path: Path) -> None:
    (tmp_path / "in.onnx").write_bytes(many_weights().SerializeToString())
    model = io.load(tmp_path / "in.onnx")
    report = io.save(model, tmp_path / "out.onnx", limit=50_000)
    assert report.data_path is not None
    assert report.bytes < 50_000
    with pytest.raises(ModelError, match="allow external data"):
        io.save(model, tmp_path / "never.onnx", external_data="never", limit=50_000)
    with pytest.raises(ModelError, match="without its initializers"):
        io.save(model, tmp_path / "never.onnx", limit=1000)
    assert not (tmp_path / "never.onnx").exists()


def test_shared_weights_are_stored_once(tmp_path: Path, data: Path) -> None:
    model = small_model()
    other = model.graph.initializer.add()
    other.CopyFrom(model.graph.initializer[0])
    other.name = "tied"
    for item in model.graph.initializer:
        reference(item, location=data.name, offset=100, length=8192)
    (tmp_path / "in.onnx").write_bytes(model.SerializeToString())
    report = io.save(io.load(tmp_path / "in.onnx"), tmp_path / "out.onnx")
    assert report.data_bytes == 8192
    after = weights(onnx.load(tmp_path / "out.onnx"))
    assert np.array_equal(after["w"], after["tied"])
    assert np.array_equal(after["w"], floats(64, 32))


def test_large_tensors_start_at_pages(tmp_path: Path) -> None:
    model = small_model(floats(300, 301))
    model.graph.initializer.insert(0, tensor("first", floats(333)))
    io.save(io.from_proto(model), tmp_path / "out.onnx", external_data="always")
    raw = onnx.load(tmp_path / "out.onnx", load_external_data=False)
    entries = {e.key: e.value for e in raw.graph.initializer[1].external_data}
    assert int(entries["offset"]) % 4096 == 0
    assert entries["location"] == "out.onnx.data"


def test_the_inputs_data_file_is_not_overwritten(tmp_path: Path) -> None:
    """The input's data file has the very name that the output's would take."""
    source = floats(64, 32).tobytes()
    (tmp_path / "out.onnx.data").write_bytes(source)
    path = write_model(tmp_path, location="out.onnx.data")
    report = io.save(io.load(path), tmp_path / "out.onnx")
    assert report.data_path == str(tmp_path / "out.onnx.1.data")
    assert (tmp_path / "out.onnx.data").read_bytes() == source
    assert np.array_equal(weights(onnx.load(tmp_path / "out.onnx"))["w"], floats(64, 32))


def test_references_stay_where_they_are_when_asked(tmp_path: Path) -> None:
    model = many_weights()
    (tmp_path / "in.onnx").write_bytes(model.SerializeToString())
    report = io.save(io.load(tmp_path / "in.onnx"), tmp_path / "out.onnx", reference=True)
    assert report.bytes < 10_000
    assert report.data_path is None
    after, before = weights(onnx.load(tmp_path / "out.onnx")), weights(model)
    assert all(np.array_equal(after[name], before[name]) for name in before)


def test_references_do_not_leave_the_folder(tmp_path: Path) -> None:
    (tmp_path / "in.onnx").write_bytes(many_weights().SerializeToString())
    (tmp_path / "below").mkdir()
    io.save(io.load(tmp_path / "in.onnx"), tmp_path / "below" / "out.onnx", reference=True)
    raw = onnx.load(tmp_path / "below" / "out.onnx", load_external_data=False)
    assert all(t.data_location == TensorProto.DEFAULT for t in raw.graph.initializer)


def test_the_runtime_reads_what_was_written(tmp_path: Path) -> None:
    ort = pytest.importorskip("onnxruntime")
    model = small_model()
    model.graph.initializer.append(tensor("b", floats(32)))
    model.graph.node[1].input[0] = "s"
    model.graph.node.insert(1, helper.make_node("Add", ["h", "b"], ["s"], "add"))
    (tmp_path / "in.onnx").write_bytes(model.SerializeToString())
    io.save(io.load(tmp_path / "in.onnx"), tmp_path / "a.onnx")
    io.save(io.load(tmp_path / "in.onnx"), tmp_path / "b.onnx", external_data="always")
    io.save(io.load(tmp_path / "in.onnx"), tmp_path / "c.onnx", reference=True)
    feed = {"x": floats(3, 64, seed=1)}
    results = [
        ort.InferenceSession(tmp_path / f"{name}.onnx", providers=["CPUExecutionProvider"]).run(
            None, feed
        )[0]
        for name in ("in", "a", "b", "c")
    ]
    assert results[0].any()
    assert all(np.array_equal(results[0], other) for other in results[1:])
