"""Converting a model to a shorter float type: ``onnxopt convert``.

Where the result does not match, the layers at which the error begins are found by comparing the values inside
of both models, and are kept in single precision.
"""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import MismatchError, UsageError
from ..io import save
from .compile import optimise, run_pipeline
from .options import Options, check_lists
from .probing import Probe
from .repair import Repair
from .result import Result

if TYPE_CHECKING:
    import onnx_ir as ir

    from ..pipeline.manager import Outcome
    from ..runtime.validation import Validation
    from .plan import Plan
    from .staging import Origin, Source, Stage
    from .verify import Verifier

_NAMES = {"fp16": "float16", "bf16": "bfloat16", "float16": "float16", "bfloat16": "bfloat16"}
_ROUNDS = 8
_PREPARE = "freeze-legacy-inputs, inline-functions"
_EMULATED = "on the CPU each operator was computed in float32 and its result rounded to {}"
_TIDY = "remove-cast, prune-initializers"


@dataclass(frozen=True)
class Precision:
    """A conversion to a shorter type.

    Attributes:
        to: The type: ``float16`` (or ``fp16``) or ``bfloat16`` (or ``bf16``).
        keep: Names of nodes or of their results and operators that stay in single precision; in a body with the path to it.
        io_types: ``same``, ``converted``, or the names of the inputs and outputs whose type changes.
    """

    to: str
    keep: Sequence[str] = ()
    io_types: str | Sequence[str] = "same"

    def __post_init__(self) -> None:
        if self.to not in _NAMES:
            raise UsageError(f"cannot convert to {self.to!r}; choose float16 or bfloat16")
        check_lists(keep=self.keep)
        for name in (*self.keep, *self._io):
            if not _can_be_written(name):
                raise UsageError(f"cannot name {name!r} here: it holds a quote or a semicolon")

    @property
    def _io(self) -> list[str]:
        return [self.io_types] if isinstance(self.io_types, str) else list(self.io_types)

    def pipeline(self, more: Iterable[str] = ()) -> str:
        """The passes that convert.

        Args:
            more: Names to keep besides those asked for.
        """
        options = [f"to={_NAMES[self.to]}", f'io="{";".join(self._io)}"']
        keep = ";".join(dict.fromkeys([*self.keep, *more]))
        if keep:
            options.append(f'keep="{keep}"')
        return f"{_PREPARE}, convert-precision{{{','.join(options)}}}, {_TIDY}"


def _lacks_kernels(validation: Validation) -> bool:
    """Whether the runtime refused the result for want of an implementation."""
    return validation.status == "failed" and "NOT_IMPLEMENTED" in validation.reason


def _can_be_written(name: str) -> bool:
    """Whether a name can stand in the text of a pipeline."""
    return '"' not in name and ";" not in name


def convert(source: Source, output: Path | None, precision: Precision, options: Options) -> Result:
    """Converts a model, validates the result against it, and writes it.

    Raises:
        OnnxoptError: As for `optimise`.
    """
    asked = dataclasses.replace(options, passes=precision.pipeline(), result="converted")
    try:
        return optimise(source, output, asked, functools.partial(_Keeping, precision))
    except MismatchError as error:
        own = options.feeds is not None or options.inputs
        samples = "" if own else ", or validate with samples of your own (--inputs)"
        remedy = f"keep more nodes in float32 (--keep){samples}"
        raise MismatchError(f"{error}; {remedy}", error.result) from None


class _Keeping(Repair):
    """Keeps in single precision the layers where the error begins, until the result matches.

    Args:
        precision: What was asked for.
        origin: The original model.
        plan: The pipeline that made the outcome.
        options: The user's options.
        stage: Where candidates are written.
        verifier: Compares candidates with the original.
    """

    def __init__(
        self,
        precision: Precision,
        origin: Origin,
        plan: Plan,
        options: Options,
        stage: Stage,
        verifier: Verifier,
    ) -> None:
        from ..runtime.providers import CPU, resolve

        super().__init__(origin, plan, options, stage, verifier)
        self._precision = precision
        self._emulates = set(resolve(options.providers)) == {CPU}

    def check(self, outcome: Outcome, candidate: Path | None = None) -> Validation:
        """Compares an outcome with the original.

        The CPU leaves out the roundings between operators, or has no kernels at all. So there the same
        computation with all its roundings is judged first, and the outcome itself must pass as well, if it runs.
        """
        if candidate is None:
            candidate = self._stage.write(outcome.model, self._options.external_data)
        if not self._emulates or outcome.working_type is None:
            return super().check(outcome, candidate)
        with tempfile.TemporaryDirectory(prefix="onnxopt-") as folder:
            stand_in = Path(folder) / "model.onnx"
            save(self._runnable(outcome), stand_in)
            found = self._verifier.check(
                stand_in,
                False,
                shapes=self._shapes,
                working_type=outcome.working_type,
                lossy=outcome.lossy,
                as_written=True,
            )
        found.remarks.append(_EMULATED.format(outcome.working_type))
        if found.status != "passed":
            return found
        itself = super().check(outcome, candidate)
        return found if itself.status == "passed" or _lacks_kernels(itself) else itself

    def _runnable(self, outcome: Outcome) -> ir.Model:
        """What is run in the result's place."""
        if not self._emulates:
            return outcome.model
        steps = f"{self.pipeline}, emulate-precision{{of={outcome.working_type}}}"
        return run_pipeline(self._origin, steps, self._options, quiet=True).model

    def until_valid(self, outcome: Outcome, candidate: Path) -> Outcome:
        """Returns the first outcome that validates, or the last one tried."""
        self.validation = self.check(outcome, candidate)
        probe: Probe | None = None
        for _ in range(_ROUNDS):
            if self.validation.status != "failed" or outcome.working_type is None:
                break
            self._options.stage("looking for the layers that lose precision")
            probe = probe or self._probe(outcome.working_type)
            found = probe.look(self._runnable(outcome), self._failed(), set(self.kept))
            fresh = {f.name: f.reason for f in found if _can_be_written(f.name)}
            if not fresh:
                break
            self.kept.update(fresh)
            last = self._again()
            if last.working_type is None:  # nothing is left that is converted
                break
            outcome, self.validation = last, self.check(last)
        return outcome

    def _failed(self) -> list[str]:
        """The outputs that differ; all of them where nothing could be compared."""
        providers = self.validation.providers if self.validation else []
        outputs = [o for provider in providers for o in provider.outputs]
        bad = [o.name.partition("[")[0] for o in outputs if o.verdict == "differs"]
        return bad or [v.name or "" for v in self._origin.peek().graph.outputs]

    def _probe(self, working_type: str) -> Probe:
        steps = ", ".join(part for part in (self._plan.interface, _PREPARE) if part)
        before = run_pipeline(self._origin, steps, self._options, quiet=True).model
        return Probe(before, self._verifier, working_type, as_written=self._emulates)

    def _again(self) -> Outcome:
        body = self._precision.pipeline(self.kept)
        self.pipeline = dataclasses.replace(self._plan, body=body).text
        return run_pipeline(self._origin, self.pipeline, self._options, quiet=True)
