"""Child process: writes to ARGV[1] the path of a model with a file of its own, which is exported to ARGV[3] where needed."""

from __future__ import annotations

import sys
from pathlib import Path

from bench_lib.quantize.subjects import named


def main() -> None:
    """Entry point: ``ANSWER SUBJECT FOLDER``."""
    subject = named(sys.argv[2])
    path = subject.file
    if path is None:
        from bench_lib.quantize import sentences

        path = Path(sys.argv[3]) / "model.onnx"
        sentences.export(path)
    if not path.exists():
        sys.exit(f"{path}: is not there")
    if subject.module:
        subject.has("calibration")  # a module that is missing is said now
    Path(sys.argv[1]).write_text(str(path))


if __name__ == "__main__":
    main()
