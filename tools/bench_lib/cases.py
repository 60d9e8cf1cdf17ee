"""Which models the benchmark runs on: a reference model, its size, its exporter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import models
from bench_lib.measure import python, run

DEFAULT_CASES = (
    "bert:torchscript,bert:dynamo,gpt:torchscript:raw,gpt:dynamo,swin:torchscript,swin:dynamo,"
    "llama:dynamo,vit:torchscript,resnet:torchscript:raw,mobilenet_v2:dynamo"
)
EXPORT_LIMIT = 900.0


@dataclass(frozen=True)
class Case:
    """One model of the benchmark.

    Attributes:
        name: Reference model.
        size: Its size.
        exporter: Which of torch's exporters wrote it.
        raw: Whether that exporter's own optimisations were off.
        attention: Which implementation of attention it wrote; the model's default when empty.
    """

    name: str
    size: str
    exporter: str
    raw: bool = False
    attention: str = ""

    @property
    def label(self) -> str:
        """Short name for tables."""
        words = (self.name, self.exporter, "raw" if self.raw else "", self.attention)
        return " ".join(word for word in words if word)

    def argument(self) -> str:
        """The case as a command-line argument of a child; :func:`from_argument` reads it."""
        raw = "raw" if self.raw else ""
        return ":".join((self.name, self.size, self.exporter, raw, self.attention))


def from_argument(text: str) -> Case:
    """The inverse of :meth:`Case.argument`."""
    name, size, exporter, raw, attention = text.split(":")
    return Case(name, size, exporter, raw == "raw", attention)


def parse(text: str, size: str, exporter: str = "both") -> list[Case]:
    """Cases from ``NAME[:EXPORTER[:raw][:ATTENTION]],...``; without an exporter, those of ``exporter``.

    Raises:
        ValueError: A model, exporter or implementation of attention is unknown.
    """
    default = models.EXPORTERS if exporter == "both" else (exporter,)
    return [case for item in text.split(",") for case in _parse_item(item.strip(), size, default)]


def _parse_item(item: str, size: str, default: tuple[str, ...]) -> list[Case]:
    name, *rest = item.split(":")
    if name not in models.names():
        raise ValueError(f"no reference model {name!r}; there are {', '.join(models.names())}")
    wanted = (rest[0],) if rest else default
    raw = rest[1:2] == ["raw"]
    attention = rest[2:] if raw else rest[1:]
    there = models.attentions(name)
    if (
        not set(wanted) <= set(models.EXPORTERS)
        or len(attention) > 1
        or not {*attention} <= {*there}
    ):
        choice = f"[:{'|'.join(there)}]" if there else ""
        raise ValueError(f"{item!r} is not {name}[:{'|'.join(models.EXPORTERS)}[:raw]{choice}]")
    return [Case(name, size, e, raw, *attention) for e in wanted]


def ensure(case: Case, work: Path) -> Path:
    """Path of the exported model, exporting it in a child (torch is large) if it is not cached.

    Raises:
        RuntimeError: The export failed.
    """
    answer = work / "export.txt"
    command = python("bench_lib.export_case", answer, case.argument())
    outcome = run(command, limit=EXPORT_LIMIT, log=work / "export.log")
    if not outcome.ok:
        raise RuntimeError(f"{case.label} cannot be exported: {outcome.failure}")
    return Path(answer.read_text())
