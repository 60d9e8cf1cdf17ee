"""What an optimisation gives back."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from ..pipeline.instruments import PassRecord
from ..pipeline.manager import Failure
from ..rewrite.stats import Stats
from .options import ExternalData
from .staging import Origin

if TYPE_CHECKING:
    from ..quantizing.account import Account
    from ..runtime.validation import Validation
    from .choices import Choice
    from .decision import Decision


@dataclass(frozen=True)
class Census:
    """A model in numbers: nodes by operator, and bytes.

    Attributes:
        nodes: Nodes everywhere but for ``Constant`` ones: main graph, subgraphs and functions.
        ops: Those nodes by operator, domains written in front unless ONNX's own.
        bytes: Size on disk, weights included; 0 where the model was not written.
    """

    nodes: int
    ops: dict[str, int]
    bytes: int = 0


def census(model: ir.Model, size: int = 0) -> Census:
    """Counts a model's nodes."""
    ops: Counter[str] = Counter()
    for graph in (model.graph, *(f.graph for f in model.functions.values())):
        for node in graph.all_nodes():
            if node.op_type != "Constant":
                ops[f"{node.domain}.{node.op_type}" if node.domain else node.op_type] += 1
    return Census(sum(ops.values()), dict(ops.most_common()), size)


@dataclass
class Result:
    """An optimised model, what was done to it, and how it was checked.

    Attributes:
        model: The optimised model. Its weights may lie in the input file.
        stats: What rules did, and declined with reasons.
        validation: How the result compares with the original; None where that was not asked for.
        before: The original in numbers.
        after: The result in numbers.
        left_out: Rewrites that changed the numbers and were therefore left out.
        kept: Nodes kept in single precision because the results differed without that, with the reason.
        failures: Passes that raised and were left out.
        records: What each run of each pass did, with times.
        sites: Every rewrite made, in order.
        pipeline: The pipeline that ran.
        output: Where the result was written, if anywhere.
        seconds: Wall time by stage.
        measured: What was decided by measuring, at level 3; None where nothing was to be measured.
        quantisation: How it was quantised; None where it was not asked for.
        origin: The model it was made from; a model given in memory lies in a file until this goes.
    """

    model: ir.Model
    stats: Stats
    validation: Validation | None
    before: Census
    after: Census
    pipeline: str
    left_out: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    records: list[PassRecord] = field(default_factory=list)
    sites: list[str] = field(default_factory=list)
    output: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    origin: Origin | None = None
    measured: Decision | None = None
    quantisation: Account | None = None

    @property
    def choices(self) -> list[Choice]:
        """What was decided on each choice of the target."""
        return [] if self.measured is None else self.measured.choices

    def save(self, path: str | os.PathLike[str], *, external_data: ExternalData = "auto") -> None:
        """Writes the optimised model.

        Raises:
            ModelError: It cannot be written there.
        """
        from ..io import save

        save(self.model, path, external_data=external_data)

    def to_json(self) -> dict[str, Any]:
        """Returns the whole report as plain data."""
        return {
            "output": self.output,
            "pipeline": self.pipeline,
            "before": vars(self.before),
            "after": vars(self.after),
            "passes": [vars(r) for r in self.records],
            "rules": self.stats.to_json(),
            "rewrites": self.sites,
            "left_out": self.left_out,
            "kept": self.kept,
            "failures": [vars(f) for f in self.failures],
            "measured": None if self.measured is None else self.measured.to_json(),
            "quantisation": None if self.quantisation is None else self.quantisation.to_json(),
            "validation": None if self.validation is None else self.validation.to_json(),
            "seconds": self.seconds,
        }
