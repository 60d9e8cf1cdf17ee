"""What files and graphs tell without being run: bytes, nodes, domains, versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .verdict import CannotMeasure, Finding

if TYPE_CHECKING:
    from ..analysis.summary import Summary
    from .subject import Subject

_STANDARD = "ai.onnx"


def max_bytes(subject: Subject, limit: int) -> Finding:
    """Bytes of the model's file and of the files of weights it refers to."""
    files = subject.build.files()
    found = subject.build.size()
    detail = f"in {len(files)} files" if len(files) > 1 else ""
    return Finding(found, found <= limit, detail)


def max_bytes_ratio(subject: Subject, limit: float) -> Finding:
    """The same over those of the other model."""
    mine, theirs = subject.build.size(), subject.reference.size()
    return Finding(mine / theirs, mine / theirs <= limit, f"{mine:,} of {theirs:,} bytes")


def max_nodes(subject: Subject, limit: int) -> Finding:
    """Nodes of the main graph, its bodies and the model's functions."""
    summary = subject.summary
    found = summary.nodes + sum(summary.functions.values())
    return Finding(found, found <= limit)


def allowed_domains(subject: Subject, limit: tuple[str, ...]) -> Finding:
    """Domains of the operators in use; calls of the model's own functions do not count, their nodes do."""
    used = _domains(subject.summary)
    allowed = {"" if domain == _STANDARD else domain for domain in limit}
    foreign = {domain: ops for domain, ops in used.items() if domain not in allowed}
    shown = tuple(domain or _STANDARD for domain in used)
    ops = [f"{domain or _STANDARD}: {', '.join(ops)}" for domain, ops in foreign.items()]
    return Finding(shown, not foreign, "not allowed: " + "; ".join(ops) if ops else "")


def max_opset(subject: Subject, limit: int) -> Finding:
    """Version of the standard operator set."""
    opsets = subject.summary.opsets
    found = opsets.get("", opsets.get(_STANDARD))
    if found is None:
        raise CannotMeasure("the model imports no standard operator set")
    return Finding(found, found <= limit)


def max_ir_version(subject: Subject, limit: int) -> Finding:
    """Version of the file format."""
    found = subject.summary.ir_version
    return Finding(found, found <= limit)


def _domains(summary: Summary) -> dict[str, list[str]]:
    """The operators in use by domain, both in order."""
    found: dict[str, list[str]] = {}
    for name in sorted(summary.ops):
        if not _own(name, summary):
            domain, _, op_type = name.rpartition(".")
            found.setdefault("" if domain == _STANDARD else domain, []).append(op_type)
    return dict(sorted(found.items()))


def _own(op: str, summary: Summary) -> bool:
    return any(name == op or name.startswith(f"{op}.") for name in summary.functions)
