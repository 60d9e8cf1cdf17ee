"""What all that runs a model on calibration data has in common, on the parent's side."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx_ir as ir

from onnxopt import errors
from onnxopt.errors import ModelError
from onnxopt.io import load, save
from onnxopt.runtime.calibration.state import check_pairs
from onnxopt.runtime.child import Ended
from onnxopt.runtime.facts import InputSpec
from onnxopt.runtime.readers.opening import open_reader
from onnxopt.runtime.readers.options import ReaderOptions
from onnxopt.runtime.trace import input_specs

Progress = Callable[[int, int, int], None]
"""Called with the sample's number from 1, the pass over the samples from 1, and how many passes there are."""
GRACE_S = 60.0
"""Seconds that a child has to end in, once it was asked to."""


@dataclass(frozen=True)
class Subject:
    """A model, and how samples of it are read.

    Attributes:
        graph: The model; weights are not read.
        specs: Its inputs.
        options: How to read samples.
        state: Output name -> name of the input it is fed back to.
    """

    graph: ir.Model
    specs: list[InputSpec]
    options: ReaderOptions
    state: dict[str, str]


def subject_of(
    model: ir.Model | str | os.PathLike[str],
    samples: str,
    options: ReaderOptions | None,
    state: Mapping[str, str] | None,
) -> Subject:
    """Load what is to be run, and tell at once what is wrong at first sight.

    Raises:
        UsageError: nothing lies where samples should, or a state is unknown.
        ModelError: the model cannot be read.
    """
    graph = model if isinstance(model, ir.Model) else load(os.fspath(model))
    pairs, specs = dict(state or {}), input_specs(graph)
    check_pairs(pairs, [value.name or "" for value in graph.graph.outputs], specs)
    optional = {value.name or "" for value in graph.graph.inputs} - {spec.name for spec in specs}
    found = Subject(graph, specs, completed(options or ReaderOptions(), pairs, optional), pairs)
    open_reader(samples, specs, options=found.options)
    return found


def file_of(model: ir.Model | str | os.PathLike[str], folder: Path) -> str:
    """A model's file; one in memory is written to the folder."""
    if not isinstance(model, ir.Model):
        return os.path.abspath(os.fspath(model))
    path = folder / "model.onnx"
    save(model, path, fsync=False)
    return str(path)


def completed(
    options: ReaderOptions, state: Mapping[str, str], optional: set[str]
) -> ReaderOptions:
    """How to read samples of a model that feeds these states back and can do without these inputs."""
    return ReaderOptions(
        options.limit,
        tuple(state.values()),
        tuple(sorted(optional)),
        options.images,
        options.folder or os.getcwd(),
    )


def told(on_progress: Progress | None) -> Callable[[str, int], None] | None:
    """What hears of a child's steps and passes them on."""
    if on_progress is None:
        return None

    def hear(stage: str, sample: int) -> None:
        words = stage.split()
        if sample and words[0] == "pass":
            on_progress(sample, int(words[1]), int(words[3]))

    return hear


def result_of(ended: Ended) -> dict[str, Any]:
    """What a child left; nothing where it was interrupted before it could.

    Raises:
        OnnxoptError: What the child raised.
        ModelError: It crashed or was ended for taking too long.
    """
    result: dict[str, Any] = ended.result or {}
    if "error" in result:
        kind, message = result["error"]
        raise getattr(errors, kind)(message)
    if ended.trouble and not ended.interrupted:
        where = f" at sample {ended.sample}" if ended.sample else ""
        raise ModelError(f"calibration{where}: {ended.trouble}")
    return result
