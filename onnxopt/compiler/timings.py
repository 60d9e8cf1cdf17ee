"""Files of timings: what was measured once, so that a build can be repeated anywhere with the same result.

A file holds for one model (by fingerprint, not by its weights' values), one target with its choices, and one set of
passes left out. Anything else is refused; another version of the runtime is only noted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelError, UsageError
from ..targets.target import Target
from .decision import Decision

_FORMAT = 2
_VERSIONS = ("onnxopt", "onnxruntime")


@dataclass(frozen=True)
class Subject:
    """What timings are of.

    Attributes:
        model: The fingerprint of the original, with the interface the user asked for.
        nodes: How many nodes it has, for messages.
        target: The target's name.
        choices: The alternatives of each of the target's choices.
        tentative: Those whose default is none.
        disable: Passes and rules that the user left out.
    """

    model: str
    nodes: int
    target: str
    choices: dict[str, list[list[str]]]
    tentative: list[str]
    disable: list[str]

    @staticmethod
    def of(model: str, nodes: int, target: Target, disable: Sequence[str]) -> Subject:
        """Describes a model and a target."""
        choices = {name: [list(a) for a in found] for name, found in target.choices.items()}
        tentative = list(target.tentative)
        return Subject(model, nodes, target.name, choices, tentative, sorted(set(disable)))


def read(path: Path, subject: Subject, machine: dict[str, str]) -> Decision:
    """Reads what was decided.

    Args:
        path: The file.
        subject: What it must be of.
        machine: What would be measured with now.

    Raises:
        UsageError: The file is none of timings, or is of another model, target or choices.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict) or data.get("format") != _FORMAT:
            raise ValueError(f"its format is not {_FORMAT}")
        theirs = Subject(**data["of"])
        decision = Decision.from_json(data)
    except OSError as error:
        raise UsageError(f"{path}: the timings cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{path}: not a file of timings: {_in_words(error)}") from None
    difference = _difference(theirs, subject)
    if difference:
        raise UsageError(f"{path}: the timings are of {difference}; name another file to measure")
    decision.source = str(path)
    for name in _VERSIONS:
        then, now = decision.machine.get(name), machine.get(name)
        if then and now and then != now:
            decision.notes.append(f"{path}: measured with {name} {then}, this is {now}")
    return decision


def _in_words(error: Exception) -> str:
    return f"it lacks {error}" if isinstance(error, KeyError) else str(error)


def _difference(theirs: Subject, ours: Subject) -> str:
    if theirs.target != ours.target:
        return f"target {theirs.target}, not {ours.target}"
    if theirs.model != ours.model:
        sizes = f" ({theirs.nodes:,} nodes)" if theirs.nodes != ours.nodes else ""
        return f"another model or other dims{sizes}"
    if theirs.disable != ours.disable:
        without = ", ".join(theirs.disable) or "nothing"
        return f"a build that leaves out {without}, this one {', '.join(ours.disable) or 'nothing'}"
    for name in sorted({*theirs.choices, *ours.choices}):
        if theirs.choices.get(name) != ours.choices.get(name):
            return f"target {ours.target} with other alternatives for {name}"
    if theirs.tentative != ours.tentative:
        return f"target {ours.target} with other defaults"
    return ""


def write(path: Path, subject: Subject, decision: Decision) -> None:
    """Writes a file of timings, whole or not at all.

    Raises:
        ModelError: It cannot be written.
    """
    from ..io.output import Staging

    whole = decision.to_json()
    kept = {name: whole[name] for name in ("choices", "whole", "sample", "machine")}
    data: dict[str, Any] = {"format": _FORMAT, "of": asdict(subject), **kept}
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    try:
        with Staging(sync=True) as staging:
            with staging.file(str(path)) as file:
                file.write(text.encode())
            staging.commit()
    except OSError as error:
        raise ModelError(f"cannot write {path}: {error.strerror}") from None


def check_place(path: Path, others: Sequence[Path]) -> None:
    """Refuses a file of timings that could not be written, before anything is measured.

    Args:
        path: The file.
        others: Files it must not be.

    Raises:
        ModelError: It is a folder, lies in one that does not exist or cannot be written to, or is one of the others.
    """
    if path.absolute() in [other.absolute() for other in others]:
        raise ModelError(f"the timings {path} would overwrite the model; choose another file")
    if path.is_dir():
        raise ModelError(f"cannot write {path}: it is a directory; name a file")
    if not path.parent.is_dir():
        raise ModelError(f"cannot write {path}: the folder {path.parent} does not exist")
    if not path.exists() and not os.access(path.parent, os.W_OK):
        raise ModelError(f"cannot write {path}: the folder {path.parent} is not writable")
