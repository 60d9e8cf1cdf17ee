"""Where candidates are made: the optimised float model once, and from it quantised ones."""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir

from ..compiler.aim import aim
from ..compiler.compile import run_pipeline
from ..compiler.plan import pipeline_of, plan
from ..compiler.staging import Origin
from ..errors import UsageError
from ..io import save
from ..quantization.table import Quantization
from . import pipelines
from .calibrating import Calibration
from .layers import Layer, layers_of
from .request import Request
from .samples import some

if TYPE_CHECKING:
    from ..compiler.options import Options
    from ..pipeline.manager import Outcome


@dataclass(frozen=True)
class Candidate:
    """A quantised model.

    Attributes:
        mode: How it is quantised.
        left: Names left in float besides those of the request.
        path: Its file.
        outcome: What the passes did.
        pipeline: What makes it from the optimised model.
        request: What it was made for.
    """

    mode: str
    left: tuple[str, ...]
    path: Path
    outcome: Outcome
    pipeline: str
    request: Request

    @property
    def changed(self) -> bool:
        """Whether anything was quantised."""
        return self.outcome.lossy


class Workshop:
    """Makes candidates. A context manager: it holds a folder.

    Args:
        origin: The original.
        request: What was asked for.
        options: The target, the interface, how to run.
        calibration: Gives statistics.
        bits: Bits of 8-bit weights that may be used.
    """

    def __init__(
        self,
        origin: Origin,
        request: Request,
        options: Options,
        calibration: Calibration,
        bits: int,
    ) -> None:
        self._origin = origin
        self._request = request
        self._options = dataclasses.replace(options, grams=calibration.grams)
        self._calibration = calibration
        self._bits = bits
        self._settled: dict[str, Request] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="onnxopt-")
        self._count = 0

    def __enter__(self) -> Workshop:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    @property
    def folder(self) -> Path:
        """Where candidates lie; it goes when the workshop closes."""
        return Path(self._folder.name)

    @property
    def table(self) -> Quantization:
        """What the target computes in integers."""
        return aim(self._options.target).target.quantize or Quantization()

    @functools.cached_property
    def prepared(self) -> Origin:
        """The optimised model that is quantised, before what only the target knows."""
        self._options.stage("optimising")
        outcome = run_pipeline(self._origin, self.preparing, self._options, quiet=True)
        return Origin(self._write(outcome.model), self._origin.label)

    @functools.cached_property
    def plain(self) -> Path:
        """The optimised float model as one would deploy it: what quantisation has to beat."""
        after = pipeline_of(aim(self._options.target).target)
        if not after:
            return self.prepared.path
        outcome = run_pipeline(self.prepared, after, self._options, quiet=True)
        return self._write(outcome.model)

    def layers(self, mode: str) -> list[Layer]:
        """The layers that a mode may quantise, with their work on the first sample."""
        return layers_of(self._sized, self.table, mode)

    @functools.cached_property
    def _sized(self) -> ir.Model:
        """The prepared model with inputs of the first sample's sizes: to count work, for looking at only."""
        samples = self._request.judged_on
        if samples is None:
            return self.prepared.load()
        feed = some(self.prepared.peek(), samples, 1)[0]
        steps = [
            f'set-input-shape{{input="{name}",shape="{",".join(map(str, array.shape))}"}}'
            for name, array in feed.items()
            if isinstance(array, np.ndarray) and array.ndim
        ]
        try:
            return run_pipeline(self.prepared, ", ".join(steps), self._options, quiet=True).model
        except UsageError:  # the model says otherwise of its inputs than it takes
            return self.prepared.load()

    def foundation(self, mode: str) -> Path:
        """The float model that a mode quantises: the prepared one, with what is moved between layers first."""
        steps = pipelines.foundation(mode, self._request)
        if not steps:
            return self.prepared.path
        outcome = run_pipeline(self.prepared, steps, self._options, quiet=True)
        return self._write(outcome.model)

    @property
    def preparing(self) -> str:
        """The passes before those that quantise."""
        steps = plan(dataclasses.replace(self._options, passes=pipelines.PREPARE))
        return steps.text

    def make(
        self, mode: str, left: tuple[str, ...] = (), request: Request | None = None
    ) -> Candidate:
        """Makes a candidate.

        Args:
            mode: ``static``, ``dynamic`` or ``weight-only``.
            left: Names to leave in float besides those of the request.
            request: What to do instead of what was asked for.

        Raises:
            OnnxoptError: The request does not fit the model.
        """
        request = request or self._settled.get(mode, self._request)
        text = self.pipeline(mode, left, request)
        options = dataclasses.replace(self._options, observe=self._calibration.service(mode))
        outcome = run_pipeline(self.prepared, text, options, quiet=True)
        return Candidate(mode, left, self._write(outcome.model), outcome, text, request)

    def again(self, candidate: Candidate, back: Sequence[Layer]) -> Candidate:
        """Makes a candidate anew, with some layers in float."""
        left = (*candidate.left, *(layer.name for layer in back))
        return self.make(candidate.mode, left, candidate.request)

    def pipeline(self, mode: str, left: tuple[str, ...], request: Request | None = None) -> str:
        """The passes that make a candidate from the prepared model."""
        request = request or self._settled.get(mode, self._request)
        text = pipelines.body(mode, request, self.table, self._bits, left)
        after = pipeline_of(aim(self._options.target).target) if mode != "static" else ""
        return ", ".join(part for part in (text, after) if part)

    def settle(self, mode: str, request: Request) -> None:
        """Says what candidates of a mode are made by from now on, instead of what was asked for."""
        self._settled[mode] = request

    def drop(self, candidate: Candidate) -> None:
        """Deletes a candidate's file."""
        for path in candidate.path.parent.glob(f"{candidate.path.name}*"):
            path.unlink()

    def _write(self, model: ir.Model) -> Path:
        self._count += 1
        path = self.folder / f"model-{self._count}.onnx"
        save(model, path, fsync=False)
        return path
