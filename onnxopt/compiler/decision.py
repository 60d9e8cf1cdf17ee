"""What measuring decided, and how to build by it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .choices import Choice
from .options import Options
from .plan import Plan
from .race import Verdict


@dataclass(frozen=True)
class Whole:
    """The result timed against the original, both as a user runs them.

    Attributes:
        ratio: The result's time over the original's, a median over rounds; None where they were not timed.
        verdict: How the result does.
        noise: How far from 1 the ratio had to be; None where there were no two rounds.
        rounds: How many rounds were run.
        original: Seconds a run of the original takes.
        result: Seconds a run of the result takes.
        kept: Whether the result is used; else the original is.
        why: One line where something went wrong.
    """

    ratio: float | None = None
    verdict: Verdict = "undecided"
    noise: float | None = None
    rounds: int = 0
    original: float | None = None
    result: float | None = None
    kept: bool = True
    why: str = ""


@dataclass
class Decision:
    """How to build a model that is fast on a target.

    Attributes:
        choices: What was decided on each choice.
        whole: The result against the original.
        sample: Shapes of the inputs that were timed, by name.
        machine: Where and with what it was measured.
        source: The file it was read from; None where it was measured now.
        notes: What a user should know.
    """

    choices: list[Choice] = field(default_factory=list)
    whole: Whole = field(default_factory=Whole)
    sample: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)
    source: str | None = None
    notes: list[str] = field(default_factory=list)

    def applied(self, steps: Plan, options: Options) -> tuple[Plan, Options]:
        """Returns the pipeline and options that build the model decided on."""
        if not self.whole.kept:
            return dataclasses.replace(steps, body="O0"), options
        off = [name for choice in self.choices for name in choice.off]
        return steps, dataclasses.replace(options, disable=[*options.disable, *off])

    def to_json(self) -> dict[str, Any]:
        """Returns everything as plain data."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Decision:
        """Reads the parts that a file of timings keeps."""
        choices = [Choice.from_json(choice) for choice in data["choices"]]
        whole, sample, machine = Whole(**data["whole"]), dict(data["sample"]), data["machine"]
        return Decision(choices, whole, sample, dict(machine))
