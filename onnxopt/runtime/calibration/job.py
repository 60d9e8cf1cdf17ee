"""What a child is asked to observe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from onnxopt.runtime.facts import InputSpec
from onnxopt.runtime.order import Order
from onnxopt.runtime.readers.options import ReaderOptions

STATISTICS = "statistics.json"
"""The file, in the job folder, of what was gathered before."""
GROUP_BYTES = 512 << 20


@dataclass
class CalibrationJob(Order):
    """A model, samples, and what to observe.

    Attributes:
        model: path of the model.
        samples: where samples are, as the user wrote it.
        options: how to read them, JSON-ready.
        specs: the model's inputs, JSON-ready.
        inputs: graph inputs to observe.
        values: other values to observe, in the graph's order.
        save_to: path of the file of statistics to write.
        state: output name -> name of the input it is fed back to.
        done: samples that each value has had already, by name.
        refused: why a value is not observed any more, by name.
        provider: full provider name.
        custom_op_libraries: paths of shared libraries.
        group_bytes: bytes of outputs that are fetched together at most.
        threads: intra-op threads, and threads that observe; None for all cores.
        reference: whether the model's weights lie in the job folder, to be referred to from there.
    """

    model: str
    samples: str
    options: dict[str, Any]
    specs: list[dict[str, Any]]
    inputs: list[str]
    values: list[str]
    save_to: str
    state: dict[str, str] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    provider: str = "CPUExecutionProvider"
    custom_op_libraries: list[str] = field(default_factory=list)
    group_bytes: int = GROUP_BYTES
    threads: int | None = None
    reference: bool = False

    @property
    def input_specs(self) -> list[InputSpec]:
        """The specs, parsed."""
        return [InputSpec.from_json(spec) for spec in self.specs]

    @property
    def reader_options(self) -> ReaderOptions:
        """The options, parsed."""
        return ReaderOptions.from_json(self.options)
