"""Looking into the model that was chosen, for its account."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import onnx_ir as ir

from ..errors import OnnxoptError
from ..quantization.record import KeptLayer, Record
from ..rewrite import provenance
from .account import Account
from .explaining import Explanation, values_of
from .judging import Judge
from .layers import Layer
from .workshop import Candidate, Workshop

_PASS = "quantize"
"""The pass with fixed scales; names of the others begin so, too."""
_MEASURED, _LAST = 16, 4
"""So many layers are left in float one at a time where that is only to be told, the last ones among them."""


def explain(
    account: Account,
    workshop: Workshop,
    candidate: Candidate,
    judge: Judge | None,
    measured: Mapping[str, float],
    measure: Callable[[Sequence[Layer]], Mapping[str, float]] | None = None,
) -> None:
    """Adds to an account what quantisation does to layers and tensors.

    Args:
        account: Whose ``layers`` and ``tensors`` are filled in.
        workshop: Made the candidate.
        candidate: The model chosen.
        judge: Runs models on samples; None where there are none, and nothing is known of what accumulates.
        measured: What leaving single layers in float gains, by name.
        measure: Finds that out; None where it need not be known of more layers.
    """
    layers = workshop.layers(candidate.mode)
    record = candidate.outcome.details.get(_PASS)
    if not isinstance(record, Record):
        record = _traced(layers, workshop.prepared.peek(), candidate.outcome.model)
    powers = {}
    if judge is not None and record.layers:
        try:
            reference = workshop.foundation(candidate.mode)
            powers = judge.look_inside(reference, candidate.path, values_of(record))
        except OnnxoptError as error:
            account.notes.append(f"what accumulates inside the model is not known: {error}")
    found = Explanation(record, powers, layers)
    if measure is not None:
        measured = measure(suspects(found.layers(measured), layers))
    account.layers, account.tensors = found.layers(measured), found.tensors()


def suspects(described: Sequence[Mapping[str, Any]], layers: Sequence[Layer]) -> list[Layer]:
    """The layers in integers that most likely cost most: the last ones, whose noise nothing damps, and those that round most.

    Args:
        described: What is known of layers, the most harmful first.
        layers: The layers themselves.
    """
    by_name = {layer.name: layer for layer in layers}
    known = [row for row in described if row["integer"] and row["name"] in by_name]
    last = sorted(known, key=lambda row: -row["depth"])[:_LAST]
    names = dict.fromkeys(row["name"] for row in (*last, *known))
    return [by_name[name] for name in names][:_MEASURED]


def _traced(layers: Sequence[Layer], before: ir.Model, after: ir.Model) -> Record:
    """Layers whose scales are not fixed: those that nodes made by a pass that quantises come from."""
    came: set[str] = set()
    for node in after.graph.all_nodes():
        if node.metadata_props.get(provenance.RULE, "").rpartition(", ")[2].startswith(_PASS):
            came.update(_origins(node))
    made_of = {
        node.name or node.outputs[0].name: _origins(node) for node in before.graph.all_nodes()
    }
    kept = [x for x in layers if came & {x.name, *made_of.get(x.name, ())}]
    return Record([], [KeptLayer(x.name, x.op_type, "", "", x.result) for x in kept])


def _origins(node: ir.Node) -> list[str]:
    names = node.metadata_props.get(provenance.FROM, "").split(", ")
    return [name for name in names if name]
