"""The pipeline that carries out a set of options, as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..errors import UsageError
from ..pipeline.parse import Repeat, Step
from ..pipeline.registry import installed
from ..targets.load import load_target
from ..targets.target import Target
from .options import Options


@dataclass(frozen=True)
class Plan:
    """A pipeline in two parts.

    Attributes:
        interface: The steps that change what the model takes and gives, because the user asked.
        body: The steps of the level, or the user's own.
    """

    interface: str
    body: str

    @property
    def text(self) -> str:
        """The whole pipeline."""
        return ", ".join(part for part in (self.interface, self.body) if part.strip())


def plan(options: Options) -> Plan:
    """Writes the pipeline for a set of options.

    Raises:
        UsageError: The target is unknown, or its file is faulty.
    """
    target = load_target(options.target)
    steps = []
    if options.opset is not None:
        steps.append(f"convert-opset{{version={options.opset}}}")
    if options.freeze_inputs:
        steps.append("freeze-inputs")
    steps.extend(
        f'set-input-shape{{input="{name}",shape="{",".join(str(d) for d in shape)}"}}'
        for name, shape in options.input_shapes.items()
    )
    steps.extend(f'set-dim{{dim="{name}",size={size}}}' for name, size in options.dims.items())
    body = options.passes if options.passes is not None else _level(options.level, target)
    return Plan(", ".join(steps), body)


def _level(level: int, target: Target) -> str:
    """The passes of a level, with those that the target adds.

    Raises:
        UsageError: What the target adds is no pipeline.
    """
    before = pipeline_of(target, "prepare") if level >= 3 else ""
    after = pipeline_of(target, "pipeline") if level >= 2 else ""
    return ", ".join(part for part in (before, f"O{level}", after) if part)


def pipeline_of(target: Target, key: str = "pipeline") -> str:
    """Returns what a target runs besides a level's own passes, once it is known to be a pipeline.

    Args:
        target: The target.
        key: ``prepare`` for what runs before the level's passes, ``pipeline`` for what runs after them.

    Raises:
        UsageError: It is none.
    """
    text: str = getattr(target, key)
    try:
        installed().expand(text)
    except UsageError as error:
        raise UsageError(f"{target.source}: {key}: {error}") from None
    return text


def check_print_after(steps: Plan, options: Options) -> None:
    """Refuses to print after passes that will not run.

    Raises:
        UsageError: The pipeline has no such step.
    """
    wanted = [name for name in options.print_after if name != "all"]
    if not wanted:
        return
    there = list(dict.fromkeys(_names(installed().expand(steps.text, options.disable))))
    for name in wanted:
        if name not in there:
            known = ", ".join(there) or "nothing"
            raise UsageError(f"cannot print after {name!r}; this pipeline runs: {known}")


def _names(steps: Sequence[Step]) -> Iterator[str]:
    for step in steps:
        if isinstance(step, Repeat):
            yield from _names(step.body)
        else:
            yield step.name
