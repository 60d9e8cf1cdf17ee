"""Comparing candidates with the original, with the same inputs each time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .options import Options
from .staging import Origin

if TYPE_CHECKING:
    import onnx_ir as ir

    from ..runtime.validation import Validation


class Verifier:
    """Validates candidates against one original.

    Args:
        origin: The original.
        options: Providers, tolerances, samples.
    """

    def __init__(self, origin: Origin, options: Options) -> None:
        self._origin = origin
        self._options = options
        self._feeds: Sequence[dict[str, Any]] | None = None
        self._checks = 0
        self._cache: tempfile.TemporaryDirectory[str] | None = None

    def check(
        self,
        candidate: Path,
        exact: bool,
        *,
        shapes: ir.Model | None = None,
        working_type: str | None = None,
        lossy: bool = False,
        as_written: bool = False,
    ) -> Validation:
        """Runs a candidate and the original on the same inputs.

        Args:
            candidate: The candidate's file.
            exact: Whether only bit-identical rewrites were made.
            shapes: The model whose inputs and dims samples must fit; the original by default.
            working_type: The shorter float type the candidate was converted to, if it was.
            lossy: Whether results only have to be similar.
            as_written: Whether to run the candidate without the runtime's own optimisations.
        """
        model = shapes if shapes is not None else self._origin.peek()
        return self._validate(
            self._origin.path,
            candidate,
            model,
            exact=exact,
            working_type=working_type,
            lossy=lossy,
            as_written=as_written,
            cache=self._remembered(),
        )

    def compare(
        self, reference: Path, candidate: Path, *, working_type: str, as_written: bool
    ) -> Validation:
        """Runs two models that take what the original takes, with the same inputs as ever.

        Args:
            reference: The file of the one that is right.
            candidate: The file of the other.
            working_type: The shorter float type the candidate was converted to.
            as_written: Whether to run the candidate without the runtime's own optimisations.
        """
        model = self._origin.peek()
        return self._validate(
            reference, candidate, model, working_type=working_type, as_written=as_written
        )

    def _validate(
        self, reference: Path, candidate: Path, model: ir.Model, **how: Any
    ) -> Validation:
        from ..runtime.validate import validate

        options = self._options
        return validate(
            reference,
            candidate,
            feeds=self._samples(model),
            model=model,
            providers=options.providers,
            rtol=options.rtol,
            atol=options.atol,
            timeout_s=options.timeout,
            custom_op_libraries=options.custom_op_libraries,
            on_progress=self._progress,
            **how,
        )

    def _remembered(self) -> str | None:
        """A folder for what the original returned, from the second candidate on."""
        self._checks += 1
        if self._checks > 1 and self._cache is None:
            self._cache = tempfile.TemporaryDirectory(prefix="onnxopt-")
        return None if self._cache is None else self._cache.name

    def _progress(self, provider: str, stage: str, sample: int) -> None:
        where = provider.removesuffix("ExecutionProvider")
        words = stage.replace("reference", "original").replace("candidate", "result")
        what = words.replace("-", " ")
        self._options.stage(f"validating on {where}: {what}, sample {sample + 1}")

    def _samples(self, model: ir.Model) -> Sequence[dict[str, Any]]:
        if self._feeds is None:
            options = self._options
            self._feeds = gather(model, options.feeds, options.inputs)
        return self._feeds


def check_samples_exist(options: Options) -> None:
    """Refuses files of samples that are not there, before any work is done.

    Raises:
        UsageError: A path does not exist.
    """
    for path in options.inputs:
        if not os.path.exists(path):
            raise UsageError(
                f"{os.fspath(path)}: does not exist; samples are .npz files or folders"
            )


def gather(
    model: ir.Model,
    feeds: Sequence[Mapping[str, Any]] | None,
    paths: Sequence[str | os.PathLike[str]],
) -> list[dict[str, Any]]:
    """Returns the samples given, those in the files given, or generated ones, in this order.

    Raises:
        UsageError: A sample does not fit the model, or ``feeds`` is empty.
    """
    from ..runtime import inputs, samples

    if feeds is not None:
        if not feeds:
            raise UsageError("feeds is empty; give at least one sample, or None to generate them")
        return samples.checked(feeds, model)
    if paths:
        return samples.load(paths, model)
    return inputs.generate(model)
