"""Child process: export a case unless it is cached, and write the file's path to ARGV[1]."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TypeVar

import models
from bench_lib.cases import from_argument

Name = TypeVar("Name", bound=str)


def main() -> None:
    """Entry point."""
    case = from_argument(sys.argv[2])
    path = models.cached(
        case.name,
        size=case.size,
        exporter=one_of(models.EXPORTERS, case.exporter),
        optimize=not case.raw,
        attention=one_of(models.ATTENTIONS, case.attention) if case.attention else None,
    )
    Path(sys.argv[1]).write_text(str(path))


def one_of(there: tuple[Name, ...], wanted: str) -> Name:
    """The one of ``there`` that is called ``wanted``."""
    return next(name for name in there if name == wanted)


if __name__ == "__main__":
    main()
