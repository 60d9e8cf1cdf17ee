"""Child process: export a case unless it is cached, and write the file's path to ARGV[1]."""

from __future__ import annotations

import sys
from pathlib import Path

import models
from bench_lib.cases import from_arguments


def main() -> None:
    """Entry point."""
    case = from_arguments(sys.argv[2:])
    exporter: models.Exporter = "dynamo" if case.exporter == "dynamo" else "torchscript"
    path = models.cached(case.name, size=case.size, exporter=exporter, optimize=not case.raw)
    Path(sys.argv[1]).write_text(str(path))


if __name__ == "__main__":
    main()
