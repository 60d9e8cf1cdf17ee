"""The user's own samples: finding them in files and folders, and checking them against the model.

Accepted are ``.npz`` (arrays by input name; an array with one more leading axis than its input holds several
samples), ``.npy`` (a model with one input, or a folder with one file an input), and folders in the layout of
onnx's test sets (``test_data_set_*/input_*.pb``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxopt.errors import UsageError
from onnxopt.runtime import protos
from onnxopt.runtime.checks import check_feed
from onnxopt.runtime.facts import InputSpec
from onnxopt.runtime.feedio import Feed

if TYPE_CHECKING:
    import onnx_ir as ir


def load(paths: Sequence[str | os.PathLike[str]], model: ir.Model) -> list[Feed]:
    """Read samples and check them against a model.

    Args:
        paths: files or folders, see the module's docstring.
        model: the model they are for; weights are not read.

    Returns:
        Feeds in the order of the paths; within a folder, sorted by name.

    Raises:
        UsageError: a path holds no samples, or one does not fit; names the file and the input.
    """
    specs, optional = _expected(model)
    feeds: list[Feed] = []
    for path in map(Path, paths):
        found = list(_samples(path, specs))
        if not found:
            raise UsageError(f"{path}: holds no samples: expected .npz, .npy or input_*.pb files")
        for where, feed in found:
            check_feed(where, feed, specs, optional)
            feeds.append(feed)
    return feeds


def checked(feeds: Sequence[Mapping[str, Any]], model: ir.Model) -> list[Feed]:
    """Check samples given in memory against a model.

    Args:
        feeds: arrays by input name, a mapping a sample.
        model: the model they are for.

    Returns:
        The samples, copied one level deep.

    Raises:
        UsageError: a sample does not fit; names the sample and the input.
    """
    specs, optional = _expected(model)
    copies = [dict(feed) for feed in feeds]
    for place, feed in enumerate(copies):
        check_feed(f"sample {place}", feed, specs, optional)
    return copies


def _expected(model: ir.Model) -> tuple[list[InputSpec], set[str | None]]:
    """The inputs that must be fed, and the names of those that may be."""
    from onnxopt.runtime.trace import input_specs

    specs = input_specs(model)
    return specs, {value.name for value in model.graph.inputs} - {spec.name for spec in specs}


def _samples(path: Path, specs: Sequence[InputSpec]) -> Iterator[tuple[str, Feed]]:
    """Every sample at a path, with the name of where it lies."""
    if path.is_dir():
        yield from _folder(path, specs)
    elif not path.exists():
        raise UsageError(f"{path}: does not exist")
    elif path.suffix == ".npz":
        yield from _npz(path, specs)
    elif path.suffix == ".npy":
        if len(specs) != 1:
            raise UsageError(f"{path}: the model has {len(specs)} inputs: give a .npz with all")
        yield from _spread(path, {specs[0].name: _read(path)}, specs)
    elif path.suffix == ".pb":
        if len(specs) != 1:
            raise UsageError(f"{path}: the model has {len(specs)} inputs: give their folder")
        yield str(path), {specs[0].name: protos.read(path, specs[0])[1]}
    else:
        raise UsageError(f"{path}: not a sample: expected .npz, .npy, .pb or a folder")


def _folder(folder: Path, specs: Sequence[InputSpec]) -> Iterator[tuple[str, Feed]]:
    protobufs = sorted(folder.glob("input_*.pb"), key=number)
    if protobufs:
        yield str(folder), protobuf_set(folder, protobufs, specs)
    arrays = sorted(folder.glob("*.npy"))
    if arrays:
        yield from _spread(folder, array_set(folder, arrays, specs), specs)
    for path in sorted(folder.glob("*.npz")):
        yield from _npz(path, specs)
    for path in sorted(folder.glob("test_data_set_*"), key=number):
        if path.is_dir():
            yield from _folder(path, specs)


def number(path: Path) -> tuple[int, str]:
    """The key to sort files by: the number that ends the name, then the name."""
    digits = path.stem.rsplit("_", 1)[-1]
    return (int(digits) if digits.isdigit() else -1, path.name)


def protobuf_set(folder: Path, paths: Sequence[Path], specs: Sequence[InputSpec]) -> Feed:
    """Files name their input, or stand for the inputs in order."""
    if len(paths) > len(specs):
        raise UsageError(f"{folder}: {len(paths)} input files for {len(specs)} inputs")
    by_name = {spec.name: spec for spec in specs}
    feed: Feed = {}
    for path, spec in zip(paths, specs, strict=False):
        name, value = protos.read(path, spec)
        if name != spec.name and name in by_name:
            spec = by_name[name]
            value = protos.read(path, spec)[1]
        feed[spec.name] = value
    return feed


def array_set(
    folder: Path, paths: Sequence[Path], specs: Sequence[InputSpec], *, mapped: bool = False
) -> Feed:
    """One ``.npy`` an input: named after it, or else as many files as inputs, in order.

    Args:
        folder: where they lie, for messages.
        paths: the files.
        specs: the inputs.
        mapped: map the files into memory instead of reading them.

    Raises:
        UsageError: a file cannot be read, or they are not one an input.
    """
    names = {spec.name for spec in specs}
    if all(path.stem in names for path in paths):
        return {path.stem: _read(path, mapped) for path in paths}
    if len(paths) != len(specs):
        raise UsageError(
            f"{folder}: {paths[0].name} is not named after an input ({', '.join(sorted(names))}),"
            f" and {len(paths)} files are not one for each of {len(specs)} inputs"
        )
    ordered = sorted(paths, key=number)
    return {spec.name: _read(path, mapped) for spec, path in zip(specs, ordered, strict=True)}


def _npz(path: Path, specs: Sequence[InputSpec]) -> Iterator[tuple[str, Feed]]:
    archive = _read(path)
    if isinstance(archive, np.ndarray):
        raise UsageError(f"{path}: holds a single array, not a .npz archive")
    with archive:
        arrays = {name: _member(path, archive, name) for name in archive.files}
    yield from _spread(path, arrays, specs)


def _member(path: Path, archive: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(archive[name])
    except Exception as error:  # zip, zlib and numpy each raise their own
        raise UsageError(f"{path}: array {name!r} cannot be read: {_why(error)}") from error


def _read(path: Path, mapped: bool = False) -> Any:
    try:
        return np.load(path, "r" if mapped else None, allow_pickle=False)
    except Exception as error:  # zip, zlib and numpy each raise their own
        raise UsageError(f"{path}: cannot be read: {_why(error)}") from error


def _why(error: Exception) -> str:
    if "allow_pickle" in str(error):
        return "it holds Python objects, or is not a numpy file (save strings with dtype 'U')"
    return " ".join(str(error).split()) or type(error).__name__


def _spread(
    path: Path, arrays: dict[str, np.ndarray], specs: Sequence[InputSpec]
) -> Iterator[tuple[str, Feed]]:
    """Split arrays that have an extra leading axis into samples; the others go to each."""
    ranks = {spec.name: None if spec.shape is None else len(spec.shape) for spec in specs}
    stacked = {
        name: len(array)
        for name, array in arrays.items()
        if ranks.get(name) is not None and array.ndim == (ranks[name] or 0) + 1
    }
    if not stacked:
        yield str(path), dict(arrays)
        return
    if len(set(stacked.values())) > 1:
        counts = ", ".join(f"{name}: {count}" for name, count in stacked.items())
        raise UsageError(f"{path}: the inputs hold different numbers of samples ({counts})")
    for index in range(next(iter(stacked.values()))):
        feed = {name: a[index, ...] if name in stacked else a for name, a in arrays.items()}
        yield f"{path}, sample {index}", feed
