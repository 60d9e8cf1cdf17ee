"""What a pass is, and what it gets to work with."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
import onnx
import onnx_ir as ir

from ..analysis.facts import Facts
from ..rewrite.editor import Editor
from ..rewrite.gate import Gate
from ..rewrite.stats import Stats
from ..targets.target import GENERIC, Target

if TYPE_CHECKING:
    from ..quantization.statistics import Statistics
    from ..quantization.wants import Wants

Array = np.ndarray[Any, Any]
Evaluate = Callable[[onnx.ModelProto, Mapping[str, Array]], Sequence[Array]]
Observe: TypeAlias = "Callable[[ir.Model, Mapping[str, Wants]], Statistics]"
"""Runs a model on calibration data, and keeps of some of its values what is wanted."""
Grams = Callable[[ir.Model, Sequence[str]], Mapping[str, Array]]
"""Gives X^T X, [K, K] float64 over all calibration samples, of values [..., K] of the main graph by their names.

A value that no sample reached is left out.
"""


@dataclass
class Context:
    """The model under optimisation and the services a pass may use.

    Attributes:
        model: The model; passes change it through ``editor`` only.
        gate: Admits each rewrite.
        stats: Counts what happened.
        evaluate: Runs a small model on the runtime, for constant folding; None where no runtime is
            installed.
        target: What the result must run on.
        observe: Runs the model on calibration data; None where there is none.
        grams: Gives the Gram matrices of values over calibration data; None where there is no such data.
        details: What passes say of their work beyond counts, by the pass's name: objects of types that the pass documents.
        facts: Types, shapes and constants of ``model``.
        editor: Commits rewrites.
    """

    model: ir.Model
    gate: Gate = field(default_factory=Gate)
    stats: Stats = field(default_factory=Stats)
    evaluate: Evaluate | None = None
    target: Target = GENERIC
    observe: Observe | None = None
    grams: Grams | None = None
    details: dict[str, Any] = field(default_factory=dict)
    facts: Facts = field(init=False)
    editor: Editor = field(init=False)

    def __post_init__(self) -> None:
        self.facts = Facts(self.model)
        self.editor = self._editor()

    def _editor(self) -> Editor:
        return Editor(self.model, self.facts, self.gate, self.stats, self.target)

    def adopt(self, model: ir.Model) -> None:
        """Goes on with another model, where a pass had the whole of it converted elsewhere."""
        self.model = model
        self.refresh()

    def refresh(self) -> None:
        """Derives all facts anew, after a change that made shapes or constants known."""
        left = self.editor.budget.left
        self.facts = Facts(self.model)
        self.editor = self._editor()
        self.editor.budget.left = left


class Pass(abc.ABC):
    """A step of a pipeline. Subclasses are frozen dataclasses whose fields are its options.

    Attributes:
        name: Kebab-case name.
        summary: One line.
        exact: Whether results stay bit-identical.
        lossy: Whether results differ by more than rounding, on purpose: those of a quantised model do.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    exact: ClassVar[bool] = True
    lossy: ClassVar[bool] = False

    @property
    def working_type(self) -> str | None:
        """The float type in which results are computed after this pass; None where it changes none."""
        return None

    @abc.abstractmethod
    def run(self, context: Context) -> int:
        """Changes the model.

        Args:
            context: The model and the services.

        Returns:
            How many changes were made; 0 where the model is as it was.
        """
