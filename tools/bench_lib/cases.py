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
    """

    name: str
    size: str
    exporter: str
    raw: bool = False

    @property
    def label(self) -> str:
        """Short name for tables."""
        return f"{self.name} {self.exporter}{' raw' if self.raw else ''}"

    def arguments(self) -> list[str]:
        """The case as command-line arguments of a child; :func:`from_arguments` reads them."""
        return [self.name, self.size, self.exporter, "raw" if self.raw else ""]


def from_arguments(arguments: list[str]) -> Case:
    """The inverse of :meth:`Case.arguments`."""
    name, size, exporter, raw = arguments
    return Case(name, size, exporter, raw == "raw")


def parse(text: str, size: str, exporter: str = "both") -> list[Case]:
    """Cases from ``NAME[:EXPORTER[:raw]],...``; without an exporter, those of ``exporter``.

    Raises:
        ValueError: A model or exporter is unknown.
    """
    cases: list[Case] = []
    default = models.EXPORTERS if exporter == "both" else (exporter,)
    for item in text.split(","):
        name, *rest = item.strip().split(":")
        if name not in models.names():
            raise ValueError(f"no reference model {name!r}; there are {', '.join(models.names())}")
        wanted = (rest[0],) if rest else default
        unknown = [e for e in wanted if e not in models.EXPORTERS]
        if unknown or rest[1:] not in ([], ["raw"]):
            raise ValueError(f"{item!r} is not NAME[:torchscript|dynamo[:raw]]")
        cases += [Case(name, size, e, raw=bool(rest[1:])) for e in wanted]
    return cases


def ensure(case: Case, work: Path) -> Path:
    """Path of the exported model, exporting it in a child (torch is large) if it is not cached.

    Raises:
        RuntimeError: The export failed.
    """
    answer = work / "export.txt"
    command = python("bench_lib.export_case", answer, *case.arguments())
    outcome = run(command, limit=EXPORT_LIMIT, log=work / "export.log")
    if not outcome.ok:
        raise RuntimeError(f"{case.label} cannot be exported: {outcome.failure}")
    return Path(answer.read_text())
