"""What a child is asked to compare inside two models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from onnxopt.runtime.calibration.job import CalibrationJob
from onnxopt.runtime.order import Order


@dataclass
class InnerJob(Order):
    """Two models, values of both to compare, and samples.

    Attributes:
        reference: path of the reference.
        candidate: path of the other.
        values: name of a value in the reference -> its name in the other; inputs of the model among the former, too.
        inputs: those of the former that are inputs of the model.
        samples: where samples are, as the user wrote it.
        options: how to read them, JSON-ready.
        specs: the inputs, JSON-ready.
        state: output name -> name of the input it is fed back to.
        limit: samples at most.
        provider: full provider name.
        custom_op_libraries: paths of shared libraries.
        group_bytes: bytes of outputs of both models that are fetched together at most.
    """

    reference: str
    candidate: str
    values: dict[str, str]
    inputs: list[str]
    samples: str
    options: dict[str, Any]
    specs: list[dict[str, Any]]
    limit: int
    group_bytes: int
    state: Mapping[str, str] = field(default_factory=dict)
    provider: str = "CPUExecutionProvider"
    custom_op_libraries: list[str] = field(default_factory=list)

    def observing(self, model: str) -> CalibrationJob:
        """The values of one of the models, as something to observe."""
        return CalibrationJob(
            model=model,
            samples=self.samples,
            options=self.options,
            specs=self.specs,
            inputs=[],
            values=[name for name in self.values if name not in self.inputs],
            save_to="",
            state=dict(self.state),
            provider=self.provider,
            custom_op_libraries=self.custom_op_libraries,
            group_bytes=self.group_bytes // 2,
        )
