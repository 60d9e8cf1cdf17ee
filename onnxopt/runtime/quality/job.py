"""What a child is asked to compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from onnxopt.runtime.facts import InputSpec
from onnxopt.runtime.order import Order
from onnxopt.runtime.readers.options import ReaderOptions

LIMIT = 64
KEPT_BYTES = 512 << 20


@dataclass(frozen=True)
class Reading:
    """Where samples come from.

    Attributes:
        source: what the user wrote, see `onnxopt.runtime.readers.opening.open_reader`.
        specs: the models' inputs.
        options: how to read.
        state: output name -> name of the input it is fed back to.
    """

    source: str
    specs: Sequence[InputSpec]
    options: ReaderOptions = field(default_factory=ReaderOptions)
    state: Mapping[str, str] = field(default_factory=dict)


def compared(total: int, few: int, limit: int) -> int:
    """How many of the reference's samples candidates run on: the first ones.

    Args:
        total: how many samples there are.
        few: how many of ``limit`` are wanted, and at least; 0 for all.
        limit: what ``few`` is a part of.
    """
    return min(total, max(few, total * few // limit)) if few else total


@dataclass
class QualityJob(Order):
    """A reference, models to compare with it, and samples.

    Attributes:
        reference: path of the reference.
        candidates: paths of the others.
        samples: where samples are, as the user wrote it.
        options: how to read them, JSON-ready.
        specs: the inputs, JSON-ready.
        state: output name -> name of the input it is fed back to.
        metrics: the user's functions, as ``module:function``.
        limit: samples at most; at least, where `seconds` is given.
        seconds: more samples are run as long as the reference has taken less than this.
        few: candidates are only glanced at: they run on so many of `limit` samples. 0: on all.
        kept_in: folder that keeps what the reference returns, see `onnxopt.runtime.quality.store`; '' for none.
        kept_bytes: bytes of outputs that are kept at most.
        provider: full provider name.
        custom_op_libraries: paths of shared libraries.
    """

    reference: str
    candidates: list[str]
    samples: str
    options: dict[str, Any]
    specs: list[dict[str, Any]]
    state: dict[str, str] = field(default_factory=dict)
    metrics: list[str] = field(default_factory=list)
    limit: int = LIMIT
    seconds: float = 0.0
    few: int = 0
    kept_in: str = ""
    kept_bytes: int = KEPT_BYTES
    provider: str = "CPUExecutionProvider"
    custom_op_libraries: list[str] = field(default_factory=list)

    @property
    def input_specs(self) -> list[InputSpec]:
        """The specs, parsed."""
        return [InputSpec.from_json(spec) for spec in self.specs]

    @property
    def reader_options(self) -> ReaderOptions:
        """The options, parsed."""
        return ReaderOptions.from_json(self.options)
