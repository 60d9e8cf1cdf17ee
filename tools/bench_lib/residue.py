"""What the peers still find to remove in a model that onnxopt has optimised."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench_lib.cases import Case, ensure
from bench_lib.contenders import BY_NAME, Contender
from bench_lib.measure import run
from bench_lib.outputs import Progress, check, count, make_reference


@dataclass
class Residue:
    """One peer on one model; nodes are of standard ops, ``Constant`` not counted.

    Attributes:
        case: Label of the model.
        peer: Name of the contender.
        ours: Nodes onnxopt leaves.
        theirs: Nodes the peer leaves when it starts from the original.
        both: Nodes the peer leaves when it starts from our output.
        removed: Operators of which the peer removes some from our output, and how many.
        added: Operators of which it adds some.
        parity: Whether the peer's output from ours still computes what the original does.
        failure: Why the peer did not succeed on our output.
    """

    case: str
    peer: str
    ours: int
    theirs: int = -1
    both: int = -1
    removed: dict[str, int] = field(default_factory=dict)
    added: dict[str, int] = field(default_factory=dict)
    parity: str = ""
    failure: str = ""

    @property
    def share(self) -> float:
        """The share of our nodes that the peer removes, net."""
        return (self.ours - self.both) / max(self.ours, 1)

    def json(self) -> dict[str, object]:
        """The finding as plain data."""
        return asdict(self)


def bench_residue(
    case: Case, peers: Sequence[Contender], *, limit: float, work: Path, progress: Progress
) -> list[Residue]:
    """Optimise ``case`` with onnxopt, then run each peer on the original and on the result.

    Args:
        case: The model.
        peers: The tools; those not installed are left out with a line in ``progress``.
        limit: Seconds a tool may take.
        work: Folder for outputs, emptied of them at the end.
        progress: Receives a line about each step.

    Raises:
        RuntimeError: onnxopt did not succeed on the model.
    """
    progress(f"{case.label}: onnxopt")
    source = ensure(case, work)
    ours, failure = _optimise(BY_NAME["onnxopt"], source, limit, work / "ours")
    if ours is None:
        raise RuntimeError(f"onnxopt failed on {case.label}: {failure}")
    reference = make_reference(case, source, work)
    before = _standard(count(ours, work))
    found: list[Residue] = []
    for peer in peers:
        if peer.version() is None:
            progress(f"{peer.name}: not installed")
            continue
        progress(f"{case.label}: {peer.name}")
        item = Residue(case.label, peer.name, sum(before.values()))
        theirs, _ = _optimise(peer, source, limit, work / "theirs")
        if theirs is not None:
            item.theirs = sum(_standard(count(theirs, work)).values())
        both, item.failure = _optimise(peer, ours, limit, work / "both")
        if both is not None:
            _difference(item, before, _standard(count(both, work)))
            item.parity, _, _ = check(both, reference, work)
        found.append(item)
    for name in ("ours", "theirs", "both"):
        shutil.rmtree(work / name, ignore_errors=True)
    return found


def _optimise(tool: Contender, source: Path, limit: float, folder: Path) -> tuple[Path | None, str]:
    """The tool's output in ``folder``, or None and why there is none."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    target = folder / "model.onnx"
    outcome = run(tool.command(source, target), limit=limit, log=folder / "tool.log")
    if outcome.ok and target.exists():
        return target, ""
    return None, outcome.failure or "wrote no output"


def _standard(found: dict[str, Any]) -> dict[str, int]:
    return {op: number for op, number in found["ops"].items() if "::" not in op}


def _difference(item: Residue, before: dict[str, int], after: dict[str, int]) -> None:
    item.both = sum(after.values())
    for op in sorted({*before, *after}):
        change = after.get(op, 0) - before.get(op, 0)
        if change:
            (item.added if change > 0 else item.removed)[op] = abs(change)
