"""What a pass that quantises did, tensor by tensor, for whoever explains it.

The pass only notes what it knows anyway; what costs time (a weight's error, a histogram's) is computed from the record by
whoever wants it, for the one model that is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import onnx_ir as ir

from .affine import Affine
from .observers import TensorStatistics

Kind = Literal["activation", "weight", "bias", "operand"]


@dataclass(frozen=True)
class Kept:
    """A tensor that is stored in integers.

    Attributes:
        name: The value in the model before.
        kind: ``activation``; ``weight``; ``bias``; ``operand``, another constant.
        back: The value that is read back, in the model after.
        affine: How it is stored.
        node: The node that makes it or, of constants, reads it; '' for inputs of the model.
        op_type: That node's operator; '' for inputs of the model.
        seen: What calibration saw of it; None of constants, and of values that were not observed themselves.
        tensor: What is stored, of constants.
    """

    name: str
    kind: Kind
    back: str
    affine: Affine
    node: str
    op_type: str
    seen: TensorStatistics | None = None
    tensor: ir.TensorProtocol | None = None


@dataclass(frozen=True)
class KeptLayer:
    """A node with weights that computes in integers.

    Attributes:
        name: What it is called on the command line: its name, or its result's.
        op_type: Its operator.
        data: The operand, as the model before names it.
        weight: The weights, likewise.
        result: What it makes, likewise, after what is absorbed.
    """

    name: str
    op_type: str
    data: str
    weight: str
    result: str


@dataclass
class Record:
    """What was quantised.

    Attributes:
        tensors: The tensors, in the order in which they were stored.
        layers: The nodes with weights, in the graph's order.
    """

    tensors: list[Kept] = field(default_factory=list)
    layers: list[KeptLayer] = field(default_factory=list)
