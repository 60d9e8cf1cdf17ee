"""Quantising one model: ``onnxopt quantize``."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..compiler.aim import aimed
from ..compiler.compile import optimise, require_runtime
from ..compiler.staging import Origin, check_output
from ..errors import MismatchError, UsageError
from .account import WORTH, Account, Trial
from .calibrating import Calibration, provider_of
from .checking import Check
from .deciding import best, refuse_unfused, told
from .inspecting import explain
from .judging import FLOOR, Judge
from .mending import Mender, noise
from .methods import closest
from .modes import modes_for
from .pipelines import PREPARE, used_bits
from .preparing import check_states, frozen, inlined, mode_of, raised
from .refusing import reasons, refuse_quantised
from .request import Request
from .samples import some
from .speed import race
from .straight import MODE, straight, suits
from .workshop import Candidate, Workshop

if TYPE_CHECKING:
    from ..compiler.options import Options
    from ..compiler.result import Result
    from ..compiler.staging import Source
    from ..runtime.quality.figures import Quality
    from .layers import Layer

_TIMING = 10.0
_SHOWN = 20
_VALIDATED = 4
_HOPELESS = 10.0**1.5
"""With so many times another mode's noise, a model would lose most of its integers to mending."""


def quantise(source: Source, output: Path | None, request: Request, options: Options) -> Result:
    """Quantises a model, compares it with the original, and writes it.

    Args:
        source: The model.
        output: Where to write the result; None keeps it in memory.
        request: How to quantise.
        options: The target, the interface, how to run and to write.

    Raises:
        OnnxoptError: As the command line's exit codes say; nothing is written then.
    """
    options = dataclasses.replace(aimed(options), result="quantised")
    require_runtime(options.providers)
    origin = Origin(source)
    if output is not None:
        check_output(origin, output)
    refuse_quantised(origin)
    check_states(origin, request)
    options, opset = raised(origin, request, options)
    options, constant = frozen(origin, options)
    job = _Job(origin, request, options)
    job.notes += [note for note in (opset, constant, inlined(origin)) if note]
    return job.run(source, output)


class _Job:
    def __init__(self, origin: Origin, request: Request, options: Options) -> None:
        from ..runtime.cpu import weight_bits

        self._origin = origin
        self._request = request
        self._options = options
        self._calibration = Calibration(request, options)
        self._bits = weight_bits(provider_of(options))
        self._deadline = time.monotonic() + request.budget
        self._measured: dict[str, dict[str, float]] = {}
        self._mode = mode_of(request, options)
        self.notes: list[str] = []

    def run(self, source: Source, output: Path | None) -> Result:
        workshop = Workshop(
            self._origin, self._request, self._options, self._calibration, self._bits
        )
        with workshop:
            if suits(self._origin, self._request, self._options, self._mode):
                passes = f"{PREPARE}, {workshop.pipeline(MODE, ())}"
                return straight(source, output, self._origin, passes, self._options, self.notes)
            account, candidate = self._decide(workshop)
            passes = f"{PREPARE}, {candidate.pipeline}"
            options = dataclasses.replace(
                self._options,
                passes=passes,
                observe=self._calibration.service(candidate.mode),
                grams=self._calibration.grams,
            )
            if self._request.strict_fusion:
                refuse_unfused(account)
            result = optimise(source, output, self._validated(options), Check)
        result.quantisation = account
        return result

    def _validated(self, options: Options) -> Options:
        """The options, with samples of the user's to validate on: others may be nothing like what the ranges are of."""
        samples = self._request.judged_on
        if samples is None or not options.validate or options.feeds is not None or options.inputs:
            return options
        return dataclasses.replace(options, feeds=some(self._origin.peek(), samples, _VALIDATED))

    def _decide(self, workshop: Workshop) -> tuple[Account, Candidate]:
        request = self._request
        from ..runtime.quality.budget import Budget
        from ..runtime.trace import input_specs

        budget = Budget.parse(request.max_drop or FLOOR)
        account = Account("", request.max_drop or FLOOR, notes=self.notes)
        judge = None
        if request.judged_on is not None:
            prepared = workshop.prepared
            specs = input_specs(prepared.peek())
            judge = Judge(
                prepared.path,
                specs,
                request.judged_on,
                budget,
                self._options,
                workshop.folder / "reference",
            )
        made: dict[str, Candidate] = {}
        modes = modes_for(
            workshop,
            request,
            self._mode,
            self._origin.label,
            data=self._calibration.available,
        )
        for mode in modes:
            holding = [t for t in account.trials if t.quality and t.holds and not t.why]
            trial, candidate = self._try(workshop, judge, mode, next(iter(holding), None))
            account.trials.append(trial)
            if candidate is not None:
                made[mode] = candidate
        account.mode = best(account.trials, made)
        account.bits = used_bits(account.mode, request, workshop.table, self._bits)
        if not any(candidate.changed for candidate in made.values()):
            raise UsageError(
                f"{self._origin.label}: nothing could be quantised{reasons(made.values())}"
            )
        self._conclude(account, made[account.mode])
        self._explain(account, workshop, made[account.mode], judge)
        return account, made[account.mode]

    def _try(
        self, workshop: Workshop, judge: Judge | None, mode: str, rival: Trial | None
    ) -> tuple[Trial, Candidate | None]:
        self._options.stage(f"quantising ({mode})")
        trial = Trial(mode)
        if mode == "static" and judge is not None and not self._request.method:
            chosen = closest(workshop, judge, self._request)
            candidate, trial.methods, trial.glanced = chosen.candidate, chosen.snr, chosen.glanced
        else:
            candidate = workshop.make(mode)
        trial.layers = len(workshop.layers(mode))
        if not candidate.changed:
            trial.why = "nothing could be quantised"
            return trial, candidate
        if judge is not None:
            mender = self._mender(workshop, judge)
            whole = candidate
            mended = mender.mend(
                candidate, lambda quality: self._pays(quality, rival, trial, workshop, whole)
            )
            candidate, trial.quality = mended.candidate, mended.quality
            trial.holds = judge.holds(mended.quality)
            trial.back = [layer.name for layer in mended.back]
            self._measured[mode] = {s.layer.name: s.gain for s in mended.shares}
            trial.shares = [(s.layer.name, s.layer.op_type, s.gain) for s in mended.shares][:_SHOWN]
            trial.why = mended.quality.failure
        useful = trial.holds or rival is None
        if trial.back or (useful and trial.ratio is None):
            self._time(trial, workshop, candidate)
        return trial, candidate

    def _pays(
        self,
        quality: Quality,
        rival: Trial | None,
        trial: Trial,
        workshop: Workshop,
        candidate: Candidate,
    ) -> bool:
        """Whether a candidate that is not close enough is worth mending beside one of another mode that is.

        Mending only makes it slower; so where it is far off, or no faster to begin with, it is left as it is.
        """
        if rival is None or rival.quality is None:
            return True
        if noise(quality) > _HOPELESS * noise(rival.quality):
            return False
        self._time(trial, workshop, candidate)
        return trial.ratio is None or rival.ratio is None or trial.ratio < WORTH * rival.ratio

    def _mender(self, workshop: Workshop, judge: Judge) -> Mender:
        return Mender(workshop, judge, self._deadline, self._options.stage)

    def _explain(
        self, account: Account, workshop: Workshop, candidate: Candidate, judge: Judge | None
    ) -> None:
        """Tells what each layer costs; measured, where a report is wanted and there is time."""
        measured = self._measured.get(account.mode, {})

        def measure(layers: Sequence[Layer]) -> dict[str, float]:
            assert judge is not None
            shares = self._mender(workshop, judge).shares(candidate, layers)
            return {share.layer.name: share.gain for share in shares}

        wanted = self._request.explain and judge is not None and not measured
        explain(account, workshop, candidate, judge, measured, measure if wanted else None)

    def _time(self, trial: Trial, workshop: Workshop, candidate: Candidate) -> None:
        if self._request.judged_on is None:
            return
        feeds = some(workshop.prepared.peek(), self._request.judged_on, 1)
        found = race(workshop.plain, candidate.path, feeds[0], self._options, _TIMING)
        trial.ratio = found.ratio
        trial.noise = found.noise if len(found.rounds) > 1 else None
        times = found.times()
        if times is not None:
            trial.milliseconds = (1e3 * times[0], 1e3 * times[1])

    def _conclude(self, account: Account, candidate: Candidate) -> None:
        trial = account.chosen
        if trial.milliseconds is not None:
            account.float_ms, account.quantised_ms = trial.milliseconds
        if account.bits < 8:
            from ..runtime.cpu import why_fewer

            account.notes.append(
                f"weights use {account.bits} of their 8 bits: {why_fewer()}, and sums of two products in 16 bits would saturate"
            )
        account.notes += self._calibration.notes
        if self._calibration.interrupted:
            account.notes.append(
                "calibration was interrupted; what was gathered until then is used"
            )
        if not trial.holds and self._request.max_drop is not None:
            raise MismatchError(
                f"{self._origin.label}: no quantised model holds {self._request.max_drop}: the closest has "
                f"{told(trial)}; allow more, exclude more (--exclude), or give more samples"
            )
        if not trial.holds:
            account.notes.append(f"less accurate than is asked for by default: {told(trial)}")
        if trial.ratio is not None and trial.ratio > WORTH:
            freezing = " --freeze-inputs" if self._options.freeze_inputs else ""
            account.notes.append(
                f"it takes {100 * trial.ratio:.0f} % of the time of the optimised float model: deploy that one "
                f"instead (`onnxopt optimize{freezing}`), unless size matters"
            )
        from ..runtime.fusion.proving import prove

        account.fusion = prove(candidate.path, provider=provider_of(self._options))
