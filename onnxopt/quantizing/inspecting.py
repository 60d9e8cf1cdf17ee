"""Looking into the model that was chosen, for its account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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


def explain(
    account: Account,
    workshop: Workshop,
    candidate: Candidate,
    judge: Judge | None,
    measured: Mapping[str, float],
) -> None:
    """Adds to an account what quantisation does to layers and tensors.

    Args:
        account: Whose ``layers`` and ``tensors`` are filled in.
        workshop: Made the candidate.
        candidate: The model chosen.
        judge: Runs models on samples; None where there are none, and nothing is known of what accumulates.
        measured: What leaving single layers in float gains, by name.
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
    found = Explanation(record, powers, layers, measured)
    account.layers, account.tensors = found.layers(), found.tensors()


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
