"""What a target is: data on a runtime, which passes may ask."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import onnx_ir as ir

from ..quantization.table import Quantization

MICROSOFT = "com.microsoft"
"""The domain of the operators that onnxruntime adds to the standard ones."""

Kernels = Mapping[tuple[str, str], frozenset[ir.DataType]]
"""Element types by domain and operator."""


@dataclass(frozen=True)
class Target:
    """What a runtime runs well.

    Attributes:
        name: The target's name.
        summary: One line.
        providers: The onnxruntime execution providers it stands for; empty where it stands for none.
        domains: Operator domains that may come out besides those of the model, with the version to import.
        kernels: Operators that the runtime has, of those domains and of the standard one, with the element types they
            work on.
        avoid: Operators that the runtime fuses into by itself although they take longer than what they stand for; rules
            keep it from that.
        epilogues: What fused operators can apply to their result, by operator: activations by the name of the standard
            operator, with ``Add+`` before it where another tensor can be added first.
        prepare: What runs before the level's own passes, at level 3.
        pipeline: What runs after the level's own passes, from level 2 on.
        separate_weights_above: Size in bytes above which a model loads faster where its weights lie in a file of their
            own, which is mapped rather than parsed; None where that makes no difference.
        choices: What only measuring can settle, by name: alternatives, each the passes, groups and rules that make
            it, the one preferred by default first; besides them there is always the choice of none.
        tentative: Those of them whose default is none.
        keep: Operators that stay in single precision when a model is converted, by the name of the type it is
            converted to.
        reasons: Why, by operator.
        quantize: What it computes in integers; None where nothing is known of that.
        source: The file it was read from.
    """

    name: str
    summary: str
    providers: tuple[str, ...] = ()
    domains: Mapping[str, int] = field(default_factory=dict)
    kernels: Kernels = field(default_factory=dict)
    avoid: frozenset[str] = frozenset()
    epilogues: Mapping[str, frozenset[str]] = field(default_factory=dict)
    prepare: str = ""
    pipeline: str = ""
    separate_weights_above: int | None = None
    choices: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    tentative: tuple[str, ...] = ()
    keep: Mapping[str, frozenset[str]] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    quantize: Quantization | None = None
    source: str = ""

    @property
    def unmeasured(self) -> dict[str, tuple[str, ...]]:
        """What tentative choices switch off where nothing was measured, by choice."""
        return {
            name: tuple(sorted({item for found in self.choices[name] for item in found}))
            for name in self.tentative
        }

    def has(self, op_type: str, dtype: ir.DataType | None, domain: str = MICROSOFT) -> bool:
        """Tells whether the runtime has an operator for an element type."""
        return dtype in self.kernels.get((domain, op_type), frozenset())

    def without(self, missing: Collection[tuple[str, str]]) -> Target:
        """Returns the target without some operators, each named by domain and type."""
        kept = {name: types for name, types in self.kernels.items() if name not in missing}
        return replace(self, kernels=kept)


GENERIC = Target("generic", "Any ONNX runtime: standard operators of the model's own opset")
"""Asks for nothing but the standard."""
