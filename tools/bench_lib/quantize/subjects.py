"""Which models the quantisation benchmark runs on, where their samples come from, and what else is measured of them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import models
from bench_lib import cases
from bench_lib.measure import ROOT

SHARED = ROOT.parent / "shared" / "models"
_REAL = {
    "ultraface": ("ultraface_rfb_320.onnx", "faces", ("--freeze-inputs",), ()),
    "silero_vad": ("silero_vad.onnx", "speech", (), (("stateN", "state"),)),
}
OTHERS = ("digits", "minilm", *_REAL)


@dataclass(frozen=True)
class Subject:
    """A model to quantise.

    Attributes:
        name: Its name on the command line.
        case: The reference model and how it is exported; None for a model with a file of its own.
        file: That file; None where it is made.
        module: A module of this package that knows the model, '' for none. It may have ``calibration()``, an iterable
            of samples (input name -> array), or of sequences of them where state is fed back, ``evaluation()``, the
            same of samples apart, and ``evaluate(model, reference) -> dict[str, float]``, more figures of a quantised
            model beside the float one, where more is better.
        options: More options of our commands.
        state: Pairs of an output and the input that it is fed back to.
    """

    name: str
    case: cases.Case | None = None
    file: Path | None = None
    module: str = ""
    options: tuple[str, ...] = ()
    state: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        """Short name for tables."""
        return self.case.label if self.case else self.name

    @property
    def import_name(self) -> str:
        """The full name of its module."""
        return f"bench_lib.quantize.{self.module}"

    def has(self, function: str) -> bool:
        """Whether its module has a function of that name.

        Raises:
            ModuleNotFoundError: It names a module that is not there.
        """
        return bool(self.module) and hasattr(importlib.import_module(self.import_name), function)


def parse(text: str, size: str, exporter: str) -> list[Subject]:
    """Subjects from a comma-separated list.

    Args:
        text: Names in :data:`OTHERS`, and reference models as in :func:`bench_lib.cases.parse`.
        size: The reference models' size.
        exporter: Which of torch's exporters wrote those that are named without one.

    Raises:
        ValueError: A name is unknown.
    """
    return [s for item in text.split(",") for s in _subjects(item.strip(), size, exporter)]


def named(text: str) -> Subject:
    """The subject that :func:`argument` wrote."""
    kind, _, rest = text.partition("/")
    if kind != "case":
        return _other(rest)
    case = cases.from_argument(rest)
    return Subject(case.name, case)


def argument(subject: Subject) -> str:
    """A subject as an argument of a child."""
    return f"case/{subject.case.argument()}" if subject.case else f"other/{subject.name}"


def _subjects(item: str, size: str, exporter: str) -> Sequence[Subject]:
    if item in OTHERS:
        return [_other(item)]
    try:
        found = cases.parse(item, size, exporter)
    except ValueError as error:
        raise ValueError(f"{error}; and {', '.join(OTHERS)}") from error
    return [Subject(case.name, case) for case in found]


def _other(name: str) -> Subject:
    if name == "digits":
        file = Path(models.__file__).with_name("digits_cnn.onnx")
        return Subject(name, file=file, module="digits")
    if name == "minilm":
        return Subject(name, module="sentences")
    file_name, module, options, state = _REAL[name]
    return Subject(name, file=SHARED / file_name, module=module, options=options, state=state)
