"""What the runtime made of a quantised model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["integer", "float", "gone"]


@dataclass(frozen=True)
class Finding:
    """What became of one node that was meant to compute in integers.

    Attributes:
        name: the node's name in the model.
        op_type: its operator.
        mode: ``static``, ``dynamic`` or ``weight-only``.
        status: ``integer``; ``float`` where it still computes in float; ``gone`` where the runtime needs no operator.
        kernel: the operator that stands for it in the runtime's graph; '' where there is none.
        reason: why it is not an integer kernel, in words; '' where no reason was found, too.
    """

    name: str
    op_type: str
    mode: str
    status: Status
    kernel: str = ""
    reason: str = ""


@dataclass
class FusionReport:
    """What the runtime made of a quantised model.

    Attributes:
        provider: full provider name.
        findings: one for each node that was meant to compute in integers, in order.
        integers: how many nodes of the runtime's graph compute in integers.
        floats: nodes of the runtime's graph that compute in float, by operator.
        conversions: QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear left in it, by operator.
        failure: why the model does not load; '' where it does.
    """

    provider: str
    findings: list[Finding] = field(default_factory=list)
    integers: int = 0
    floats: Mapping[str, int] = field(default_factory=dict)
    conversions: Mapping[str, int] = field(default_factory=dict)
    failure: str = ""

    @property
    def unfused(self) -> list[Finding]:
        """Nodes that still compute in float."""
        return [found for found in self.findings if found.status == "float"]

    @property
    def unexplained(self) -> list[Finding]:
        """Nodes that are no integer kernel, for which no reason was found."""
        return [found for found in self.findings if found.status != "integer" and not found.reason]

    @property
    def proven(self) -> bool:
        """Whether the model loads and all that was meant to compute in integers does."""
        return not self.failure and not self.unfused and not self.unexplained

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {**asdict(self), "proven": self.proven}
