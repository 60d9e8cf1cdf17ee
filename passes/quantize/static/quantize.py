"""Static quantisation: integers between QuantizeLinear and DequantizeLinear, with scales known beforehand.

Identity, up to the rounding of every quantised value: y = op(x) -> y = DQ(Q(op(DQ(Q(x))))). Runtimes replace the operator between
by its integer kernel where the form is one they know; the target's file tells which (``[quantize]``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import onnx_ir as ir

from onnxopt.errors import UsageError
from onnxopt.io.identity import identity
from onnxopt.pipeline.base import Context, Pass
from onnxopt.quantization.methods import EVEN, needs, parse_method
from onnxopt.quantization.ranges import choose_range
from onnxopt.quantization.record import Record
from onnxopt.quantization.statistics import Statistics, load
from onnxopt.quantization.table import Quantization
from onnxopt.quantization.types import QType, qtype
from onnxopt.quantization.wants import Wants
from onnxopt.rewrite.editor import where
from onnxopt.rewrite.scopes import differentiates

from .._selection import Selection
from ._correction import channel_means, channel_wants
from ._drowned import leave_out_drowned
from ._floats import table_for
from ._notes import Notes, joined
from ._parts import Part, name_apart, parts_of, reached
from ._place import RULE, Placement
from ._plan import MARKS, Plan
from ._scales import Scheme, activation_scales
from ._unseen import leave_out
from ._wide import selected, wide_roots

_FIRST_BY_CHANNEL = 13
_FIRST = 10
_FIRST_BY_BLOCK = 21
_FIRST_WITHOUT_ZERO = 21
_FOUR = (ir.DataType.INT4, ir.DataType.UINT4)


@dataclass(frozen=True)
class Quantize(Pass):
    """Quantises weights and activations with scales from calibration data.

    Attributes:
        activations: Their type, such as ``u8``; the target's by default. 8-bit floats (``fp8``) go together, at what has weights only.
        weights: Their type, such as ``s8``; the target's by default.
        bits: Bits of weights that are used; 0 for all.
        granularity: ``channel`` or ``tensor``, of weights; the target's by default.
        method: How ranges of activations are chosen; the target's by default.
        symmetric: Whether 0 is stored as the middle, in activations that have both signs.
        bias_correct: Whether what rounding weights adds on average is taken off biases.
        include: Names, operators and patterns to quantise alone, ``;`` between.
        exclude: Names, operators and patterns to leave as they are, ``;`` between.
        wide: Names, operators and patterns around which activations have 16 bits, ``;`` between.
        stats: A file of statistics to use instead of calibration data.

    Example: y = Conv(x, w) -> y = DequantizeLinear(QuantizeLinear(Conv(DequantizeLinear(QuantizeLinear(x)), DequantizeLinear(w as int8))))
    """

    name: ClassVar[str] = RULE
    summary: ClassVar[str] = "Quantise weights and activations with scales from calibration data."
    exact: ClassVar[bool] = False
    lossy: ClassVar[bool] = True
    activations: str = ""
    weights: str = ""
    bits: int = 0
    granularity: str = ""
    method: str = ""
    symmetric: bool = False
    bias_correct: bool = False
    include: str = ""
    exclude: str = ""
    wide: str = ""
    stats: str = ""

    def run(self, context: Context) -> int:
        """Quantises the main graph and branches of If in it; loops and functions stay as they are.

        What was quantised, a `Record`, is in ``context.details`` under the pass's name.

        Raises:
            UsageError: There is no calibration data, an option means nothing here, or the model is quantised already.
        """
        table = context.target.quantize or Quantization()
        scheme = self._scheme(table)
        table = table_for(table, scheme)
        graph = context.model.graph
        method = self.method or table.method
        _check_method(method, scheme)
        selection = Selection.of(self.include, self.exclude)
        selection.check(graph.all_nodes())
        wide = selected(self.wide, scheme)
        if wide is not None:
            wide.check(graph.all_nodes(), "give 16 bits")
        _refuse(context.model, scheme, wide is not None)
        parts = parts_of(context, table, selection)
        _report(context, [part.plan for part in parts])
        wanted = any(part.plan.integer for part in parts)
        if not wanted or not context.gate.admits(RULE, graph.name or ""):
            return 0
        name_apart(context, parts)
        statistics = self._statistics(context, [part.plan for part in parts], method)
        _refuse_lacking(parts[0].plan, statistics)
        main = parts[0]
        for node in leave_out(main.plan, statistics, main.planner.data):
            context.stats.decline(RULE, where(node), f"{node.op_type}: {main.plan.reasons[node]}")
        for part in parts:
            widened = wide_roots(wide, part.planner, part.plan)
            for node in leave_out_drowned(
                part.plan, part.planner, context.facts, statistics, scheme, widened
            ):
                reason = f"{node.op_type}: {part.plan.reasons[node]}"
                context.stats.decline(RULE, where(node), reason)
        context.gate.record(RULE, graph.name or "")
        parts = reached(context, parts, statistics)
        # Inner graphs first: they read what is around them as it is, and the outer graph sees to that afterwards.
        records = [
            self._place(context, part, statistics, scheme, method, wide) for part in reversed(parts)
        ]
        context.details[RULE] = joined(reversed(records))
        context.refresh()
        return sum(len(part.plan.integer) for part in parts)

    def _place(
        self,
        context: Context,
        part: Part,
        statistics: Statistics,
        scheme: Scheme,
        method: str,
        wide: Selection | None,
    ) -> Record:
        def range_of(value: ir.Value, kind: QType) -> tuple[float, float]:
            seen = statistics.tensors[value.name or ""]
            one_sided = seen.low >= 0.0 or seen.high <= 0.0
            balanced = scheme.symmetric and not one_sided
            return choose_range(seen, method, kind, balanced)

        roots = wide_roots(wide, part.planner, part.plan)
        scales = activation_scales(context.facts, part.plan, scheme, range_of, roots)
        means = channel_means(part.plan, statistics) if self.bias_correct else None
        notes = Notes(part.plan, scales, statistics.tensors)
        Placement(context, part.graph, part.planner, part.plan, scales, scheme, notes, means).run()
        return notes.record

    def _scheme(self, table: Quantization) -> Scheme:
        granularity = self.granularity or table.granularity
        if granularity not in ("channel", "tensor"):
            raise UsageError(f"no granularity {granularity!r} here; choose channel or tensor")
        weights = qtype(self.weights or table.weights)
        if self.bits:
            if weights.floating or not 2 <= self.bits <= weights.bits:
                raise UsageError(f"cannot use {self.bits} bits of {weights.name}")
            weights = weights.narrowed(self.bits)
        activations = qtype(self.activations or table.activations)
        if activations.floating != weights.floating:
            raise UsageError(
                "8-bit floats are multiplied with 8-bit floats only: give both types as fp8"
            )
        channels = granularity == "channel"
        return Scheme(activations, weights, channels, self.symmetric, self.bias_correct)

    def _statistics(self, context: Context, plans: Sequence[Plan], method: str) -> Statistics:
        wants = {value.name or "": needs(method) for plan in plans for value in plan.roots}
        for plan in plans if self.bias_correct else ():
            for name, want in channel_wants(plan).items():
                wants[name] = wants.get(name, Wants()) | want
        if self.stats:
            if not Path(self.stats).is_file():
                raise UsageError(f"{self.stats}: no such file of statistics")
            given = load(self.stats)
            given.check_model(identity(context.model))
            return given
        if context.observe is None:
            raise UsageError(
                "static quantisation needs calibration data: give some with --calibrate, or statistics "
                "with --stats-in; or quantise with --mode dynamic"
            )
        return context.observe(context.model, wants)


def _check_method(method: str, scheme: Scheme) -> None:
    if parse_method(method).name in EVEN and scheme.floating:
        raise UsageError(
            f"{method} reckons with steps of equal size, which fp8 does not have: choose minmax, moving-average "
            "or percentile:99.99"
        )


def _refuse(model: ir.Model, scheme: Scheme, wide: bool) -> None:
    if differentiates(model):
        raise UsageError("the model differentiates itself, so that its nodes must stay as they are")
    version = model.opset_imports.get("", model.opset_imports.get("ai.onnx", 0))
    least = _FIRST_BY_CHANNEL if scheme.by_channel else _FIRST
    if wide or scheme.activations.bits == 16 or scheme.weights.dtype in _FOUR:
        least = _FIRST_BY_BLOCK
    if scheme.floating:
        least = _FIRST_WITHOUT_ZERO
    if version < least:
        what = "scales by channel" if least == _FIRST_BY_CHANNEL else "this quantisation"
        raise UsageError(
            f"opset {version} does not have {what}, which begins with opset {least}: add --opset {least}"
        )
    marks = Counter(node.op_type for node in model.graph.all_nodes() if node.op_type in MARKS)
    if marks:
        told = ", ".join(f"{count} {name}" for name, count in marks.most_common())
        raise UsageError(f"the model is quantised already ({told}); start from the float model")


def _report(context: Context, plans: Sequence[Plan]) -> None:
    for plan in plans:
        for node, reason in plan.reasons.items():
            context.stats.decline(RULE, where(node), f"{node.op_type}: {reason}")
    if not any(plan.integer for plan in plans):
        context.stats.note(f"{RULE}: there is nothing that the target computes in integers")


def _refuse_lacking(plan: Plan, statistics: Statistics) -> None:
    """Refuses statistics that lack a tensor."""
    seen: Mapping[str, object] = statistics.tensors
    missing = [value.name or "" for value in plan.roots if value.name not in seen]
    if missing:
        raise UsageError(
            f"the statistics lack {missing[0]!r} and {len(missing) - 1} more: calibrate with the same options"
        )
