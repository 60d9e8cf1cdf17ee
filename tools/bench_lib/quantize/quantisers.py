"""Who takes part in the quantisation benchmark, and the command each is run with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench_lib.measure import python
from bench_lib.quantize.subjects import Subject

Role = Literal["original", "control", "float", "default", "setting", "ours"]
TARGET = "ort-cpu"


@dataclass(frozen=True)
class Quantiser:
    """A way to make a model to deploy of an original.

    Attributes:
        name: Name in tables and on the command line.
        role: The ``original``, which nothing is done to; the ``control``, the original a second time; our optimised
            ``float`` model, which others are compared with; onnxruntime at its ``default`` or at another ``setting``;
            or ``ours``.
        products: Whether only models of mostly matrix products are worth it.
    """

    name: str
    role: Role
    products: bool = False

    def command(self, subject: Subject, source: Path, target: Path, samples: Path) -> list[str]:
        """The command that makes ``target`` from ``source`` with the samples in a folder."""
        if self.role in ("default", "setting"):
            return python("bench_lib.quantize.run_ort", self.name, source, target, samples)
        common: tuple[str | Path, ...] = (
            source,
            "-o",
            target,
            "--target",
            TARGET,
            *subject.options,
        )
        if self.role == "float":
            return python("onnxopt", "optimize", *common, "-O2")
        state = [word for pair in subject.state for word in ("--state", "=".join(pair))]
        given = f"{subject.import_name}:calibration" if subject.state else str(samples)
        report = ("--report", report_of(target))
        return python("onnxopt", "quantize", *common, "--calibrate", given, *state, *report)


def report_of(target: Path) -> Path:
    """Where our command tells what it did, for the output ``target``."""
    return target.with_suffix(".json")


FLOAT = Quantiser("onnxopt float", "float")
ALL = (
    Quantiser("original", "original"),
    Quantiser("original again", "control"),
    FLOAT,
    Quantiser("ort default", "default"),
    Quantiser("ort u8s8 minmax", "setting"),
    Quantiser("ort u8s8 entropy", "setting"),
    Quantiser("ort u8s8 percentile", "setting"),
    Quantiser("ort dynamic tensor", "setting", products=True),
    Quantiser("ort dynamic channel", "setting", products=True),
    Quantiser("onnxopt quantize", "ours"),
)


def chosen(names: str | None) -> list[Quantiser]:
    """Those in a comma-separated list with ``-`` for spaces, or all; the original and our float model always.

    Raises:
        ValueError: A name is unknown.
    """
    if not names:
        return list(ALL)
    known = {q.name.replace(" ", "-"): q for q in ALL}
    wanted = [name.strip() for name in names.split(",")]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ValueError(f"no tool {unknown[0]!r}; there are {', '.join(known)}")
    picked = {known[name] for name in wanted} | {ALL[0], FLOAT}
    return [q for q in ALL if q in picked]
