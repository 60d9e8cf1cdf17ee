"""Saving models: the skeleton is serialised, tensors stream from wherever they lie."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError, EncodeError  # type: ignore[import-untyped]

from onnxopt.errors import ModelError, UsageError
from onnxopt.io import carry
from onnxopt.io.encode import encode_model
from onnxopt.io.encode_tensor import DataLayout
from onnxopt.io.output import Output, Staging
from onnxopt.io.paths import DataFile
from onnxopt.io.pause import collector_paused
from onnxopt.io.rope import Payload, Rope
from onnxopt.io.tensors import chunks, file_region
from onnxopt.io.text import printable, shown

ExternalData = Literal["auto", "always", "never"]

# The largest message that protobuf reads.
PROTOBUF_LIMIT = 2**31 - 1


@dataclass(frozen=True)
class SaveReport:
    """What was written.

    Attributes:
        path: The model file.
        bytes: Its size in bytes.
        data_path: The file with the external data; None when there is none.
        data_bytes: Its size in bytes.
    """

    path: str
    bytes: int
    data_path: str | None = None
    data_bytes: int = 0


def save(
    model: ir.Model,
    path: str | os.PathLike[str],
    *,
    external_data: ExternalData = "auto",
    reference: bool = False,
    fsync: bool = True,
    limit: int = PROTOBUF_LIMIT,
) -> SaveReport:
    """Write a model, whole or not at all; on any failure the folder is left as it was.

    Memory is bounded by the skeleton and the largest lazily computed tensor.

    Args:
        model: The model; not changed.
        path: The file to write. An earlier file of that name is replaced and its mode kept; the files
            that the model was loaded from are refused.
        external_data: Where large initializers go: "always" to ``<name>.data`` beside the model, "never"
            there, "auto" there if they were in such a file before or the model would be over ``limit``.
        reference: Leave initializers where they are if that is a file in the folder of ``path``, and
            refer to it. The result is small and depends on that file: for temporary use.
        fsync: Wait until the disk has the files before they take their names.
        limit: Size in bytes above which a single file is not readable; protobuf's own by default.

    Returns:
        What was written.

    Raises:
        ModelError: If the model has no ONNX form, the target is unsuitable, or writing fails.
        UsageError: If ``external_data`` is none of the three.
    """
    if external_data not in ("auto", "always", "never"):
        raise UsageError(f"external_data is '{external_data}'; use 'auto', 'always' or 'never'")
    target = os.path.abspath(os.fspath(path))
    sources = _sources(model)
    _check_target(target, sources)
    root = os.path.realpath(os.path.dirname(target)) if reference else None
    with _reported(os.fspath(path)):
        with collector_paused():
            rope, layout = _plan(model, target, sources, external_data, limit, root)
        return _write(target, rope, layout, fsync)


def to_proto(model: ir.Model, *, weights: bool = True) -> onnx.ModelProto:
    """Convert a model to protobuf, in memory, with everything that ``save`` would write.

    Args:
        model: The model; not changed.
        weights: Whether to include large initializers. Without them the result is for analyses that
            look only at types and dims; the initializers then claim to be external data.

    Returns:
        A new message.

    Raises:
        ModelError: If the model has no ONNX form or is over protobuf's limit of 2 GB.
    """
    layout = None if weights else DataLayout("weights.data")
    with _reported("model"):
        rope = encode_model(model, layout)
        if rope.length > PROTOBUF_LIMIT:
            raise ModelError(
                "the model is over 2 GB, which protobuf cannot hold; save it to a file"
            )
        data = bytearray()
        for part in rope.parts:
            for piece in chunks(part.tensor) if isinstance(part, Payload) else (part,):
                data += piece
        proto = onnx.ModelProto()
        proto.ParseFromString(bytes(data))
        return proto


def _sources(model: ir.Model) -> list[DataFile]:
    """Return the files that the model still needs, which must not be written to."""
    carried = carry.model_carry(model)
    files = {file.path: file for file in carried.data_files}
    if carried.source is not None:
        files[carried.source.path] = carried.source
    for graph in model.graphs():
        for value in graph.initializers.values():
            region = file_region(value.const_value) if value.const_value is not None else None
            if region is not None:
                files[region[0].path] = region[0]
    return list(files.values())


def _check_target(target: str, sources: list[DataFile]) -> None:
    if any(file.is_same_file(target) for file in sources):
        raise ModelError(
            f"{target}: this is the file that the model was read from; name another output"
        )
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise ModelError(f"{target}: there is no folder '{folder}'; create it first")
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise ModelError(f"{target}: cannot be written: {_cause(error)}") from None
    if stat.S_ISDIR(mode):
        raise ModelError(f"{target}: is a directory; name a file in it")
    if not stat.S_ISREG(mode):
        raise ModelError(f"{target}: is a device or pipe; the output must be a regular file")


def _plan(
    model: ir.Model,
    target: str,
    sources: list[DataFile],
    external_data: ExternalData,
    limit: int,
    root: str | None,
) -> tuple[Rope, DataLayout | None]:
    """Encode the model in one file or in two."""
    external = external_data == "always"
    if external_data == "auto":
        external = bool(carry.model_carry(model).data_files)
    if not external:
        rope = encode_model(model, None, root)
        if rope.length <= limit:
            return rope, None
        if external_data == "never":
            raise ModelError(
                f"{target}: the model takes {rope.length / 1e9:.1f} GB and a single file can hold "
                f"{limit / 1e9:.1f}; allow external data"
            )
    layout = DataLayout(_data_name(target, sources))
    rope = encode_model(model, layout, root)
    if rope.length > limit:
        raise ModelError(
            f"{target}: without its initializers the model still takes {rope.length / 1e9:.1f} GB, "
            "over the limit of a single file; turn large constants into initializers"
        )
    return rope, layout


def _data_name(target: str, sources: list[DataFile]) -> str:
    """Choose the data file's name: the usual one, unless that is a file that the model needs."""
    name = os.path.basename(target)
    folder = os.path.dirname(target)
    candidate, number = f"{name}.data", 0
    while any(file.is_same_file(os.path.join(folder, candidate)) for file in sources):
        number += 1
        candidate = f"{name}.{number}.data"
    path = os.path.join(folder, candidate)
    if os.path.exists(path) and not os.path.isfile(path):
        raise ModelError(f"{path}: is not a regular file; the external data goes there, remove it")
    return candidate


def _write(target: str, rope: Rope, layout: DataLayout | None, fsync: bool) -> SaveReport:
    with Staging(sync=fsync) as staging:
        data_path = None
        if layout is not None and layout.payloads:
            data_path = os.path.join(os.path.dirname(target), layout.location)
            with staging.file(data_path) as output:
                for offset, payload in layout.payloads:
                    output.pad_to(offset)
                    output.payload(payload)
        with staging.file(target) as output:
            _write_rope(output, rope)
        staging.commit()
    size = layout.size if layout is not None else 0
    return SaveReport(target, rope.length, data_path, size)


def _write_rope(output: Output, rope: Rope) -> None:
    for part in rope.parts:
        if isinstance(part, Payload):
            output.payload(part)
        else:
            output.write(part)


def _cause(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


@contextmanager
def _reported(where: str) -> Iterator[None]:
    """Turn what the system or protobuf raises into one clear error."""
    try:
        yield
    except ModelError as error:
        whole = error if where in str(error) else ModelError(f"{where}: {error}")
        raise shown(whole) from error.__cause__
    except OSError as error:
        remedy = "choose another place"
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            remedy = "free some space or choose another place"
        raise ModelError(f"{where}: cannot be written: {_cause(error)}; {remedy}") from error
    except RecursionError:
        raise ModelError(f"{where}: its graphs are nested too deeply to be written") from None
    except (TypeError, ValueError, AttributeError, KeyError, EncodeError, DecodeError) as error:
        cause = printable(" ".join(str(error).split())[:200])
        raise ModelError(f"{where}: the model has no ONNX form: {cause}") from error
