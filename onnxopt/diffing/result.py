"""What a comparison of two models found, as plain data."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

KINDS = (
    "fused",
    "replaced",
    "folded",
    "merged",
    "lifted",
    "removed",
    "changed",
    "retyped",
    "moved",
    "added",
)
"""What can have happened to nodes; those to which nothing happened are only counted."""


@dataclass(frozen=True)
class Place:
    """A node.

    Attributes:
        name: Its name, or that of what it makes.
        op: Operator, behind its domain where that is not the standard one.
        scope: The body or function it stands in; empty for the main graph.
    """

    name: str
    op: str
    scope: str = ""


@dataclass(frozen=True)
class Change:
    """Something that happened to nodes.

    Attributes:
        kind: One of ``KINDS``.
        before: Nodes of the first model.
        after: Nodes of the second that do their work.
        details: What is different or why, a sentence each.
        rules: Rules of onnxopt that made the new nodes, where the model says so.
        sources: Names of nodes that the new nodes stand for, where the model says so.
    """

    kind: str
    before: tuple[Place, ...] = ()
    after: tuple[Place, ...] = ()
    details: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Nodes:
    """What happened to the nodes.

    Attributes:
        unchanged: Pairs of nodes that compute the same in both models, whatever they are called.
        renamed: How many of these have other names.
        changes: Everything else; each node of either model that is not counted above is in exactly one.
    """

    unchanged: int
    renamed: int
    changes: tuple[Change, ...]

    def counts(self) -> dict[str, int]:
        """Returns the number of nodes by what happened to them: of the first model, of the second for ``added``."""
        found: Counter[str] = Counter()
        for change in self.changes:
            found[change.kind] += len(change.before) or len(change.after)
        return {kind: found[kind] for kind in KINDS if found[kind]}


@dataclass(frozen=True)
class Figures:
    """How far two weights of the same dims are apart.

    Attributes:
        max_abs: Greatest absolute difference.
        relative: The same by the greatest magnitude of the first; None where that is 0.
        snr_db: Signal-to-noise ratio, dB; None where it is not finite.
        differing: Elements that differ.
    """

    max_abs: float
    relative: float | None
    snr_db: float | None
    differing: int


@dataclass(frozen=True)
class WeightChange:
    """Something that happened to a weight.

    Attributes:
        kind: ``"changed"``, ``"merged"``, ``"copied"``, ``"removed"`` or ``"added"``.
        before: Its name in the first model; empty for what was added.
        after: Its name in the second; empty for what was removed.
        types: Element types before and after.
        dims: Dims before and after; None where there is no such weight.
        bytes: Bytes before and after.
        figures: By how much it changed; None where that cannot be said.
    """

    kind: str
    before: str
    after: str
    types: tuple[str, str]
    dims: tuple[tuple[int, ...] | None, tuple[int, ...] | None]
    bytes: tuple[int, int]
    figures: Figures | None = None


@dataclass(frozen=True)
class Weights:
    """What happened to the weights.

    Attributes:
        same: Weights that both models have.
        renamed: How many of these have other names.
        changes: Everything else.
    """

    same: int
    renamed: int
    changes: tuple[WeightChange, ...]

    def counts(self) -> dict[str, int]:
        """Returns the number of weights by what happened to them."""
        return dict(sorted(Counter(change.kind for change in self.changes).items()))


@dataclass(frozen=True)
class InterfaceChange:
    """A difference in what callers and readers of the model see.

    Attributes:
        what: ``"input"``, ``"output"``, ``"opset"``, ``"IR version"``, ``"function"``, ``"metadata"``, …
        kind: ``"added"``, ``"removed"``, ``"renamed"``, ``"retyped"``, ``"reshaped"``, ``"reordered"`` or ``"changed"``.
        name: Of which one.
        before: As it was; empty for what was added.
        after: As it is; empty for what was removed.
    """

    what: str
    kind: str
    name: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Total:
    """What one model amounts to.

    Attributes:
        nodes: Nodes, those of bodies and functions included.
        ops: Nodes by operator.
        file_bytes: Bytes of the files; None for a model in memory.
        weight_bytes: Bytes of the weights.
        macs: Multiply-accumulate operations of one run.
        uncounted: Nodes that would count for ``macs`` but whose shapes are not known.
        assumed: Sizes put in for symbolic dims.
    """

    nodes: int
    ops: dict[str, int]
    file_bytes: int | None
    weight_bytes: int
    macs: int
    uncounted: int
    assumed: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelDiff:
    """What changed between two models.

    Attributes:
        nodes: Nodes.
        weights: Weights.
        interface: Inputs, outputs, versions, metadata.
        before: What the first model amounts to.
        after: The same of the second.
    """

    nodes: Nodes
    weights: Weights
    interface: tuple[InterfaceChange, ...]
    before: Total
    after: Total

    @property
    def different(self) -> bool:
        """Whether anything differs but names of nodes, values and weights, and the order of nodes."""
        return bool(self.nodes.changes or self.weights.changes or self.interface)

    def to_json(self) -> dict[str, Any]:
        """The same as plain dictionaries, lists, strings and numbers."""
        data = asdict(self)
        data["different"] = self.different
        data["nodes"]["counts"] = self.nodes.counts()
        data["weights"]["counts"] = self.weights.counts()
        return data
