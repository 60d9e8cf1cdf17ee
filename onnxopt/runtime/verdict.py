"""From the runs to a verdict: the worst figures of each output, and the one-line reason."""

from __future__ import annotations

import math
from dataclasses import replace

from onnxopt.runtime.compare import OutputDiff
from onnxopt.runtime.job import Job
from onnxopt.runtime.phases import Reference, Run
from onnxopt.runtime.tolerance import family
from onnxopt.runtime.validation import OutputResult, ProviderResult, SampleResult

_RANK = ("equal", "within-tolerance", "within-noise", "resembles", "differs")
LEAST_COSINE = 0.7
"""Below it, a float output of a lossy candidate has nothing left of the original."""
_POOR_NOISE_DB = 20.0
_NOTE = 160


def conclude(job: Job, reference: Reference) -> ProviderResult:
    """Judge a finished comparison.

    Args:
        job: what was asked for.
        reference: the runs, with the candidate's differences (and noise floors, where measured).

    Returns:
        The result; 'passed' only when every compared output is within tolerance or noise.
    """
    outputs: dict[str, OutputResult] = {}
    for number, run in enumerate(reference.runs):
        for diff in run.diffs:
            entry = _entry(job, run, diff, number)
            known = outputs.get(diff.name)
            outputs[diff.name] = entry if known is None else _merge(known, entry)
    for name in sorted(reference.unstable):
        detail = "nondeterministic in the original, not compared"
        outputs[name] = OutputResult(name, verdict="not-compared", detail=detail)
    result = ProviderResult(job.provider, "passed", backend=job.backend)
    result.outputs = _ordered(outputs, reference.outputs)
    result.samples = [_sample(run) for run in reference.runs]
    result.notes = _notes(reference, result.outputs)
    _decide(result, reference)
    return result


def _decide(result: ProviderResult, reference: Reference) -> None:
    bad = [output for output in result.outputs if output.verdict == "differs"]
    if bad:
        result.status = "failed"
        sample = reference.runs[bad[0].worst_sample].sample.label
        more = f" (and {len(bad) - 1} more outputs)" if len(bad) > 1 else ""
        result.reason = f"output {bad[0].name!r}: {bad[0].detail} on {sample}{more}"
    elif result.outputs and all(o.verdict == "not-compared" for o in result.outputs):
        result.status = "not-validated"
        result.reason = "every output is nondeterministic in the original"


def _entry(job: Job, run: Run, diff: OutputDiff, number: int) -> OutputResult:
    f = diff.figures
    floor = run.floors.get(diff.name)
    entry = OutputResult(
        diff.name,
        diff.dtype,
        "equal",
        f.max_abs,
        f.max_rel,
        f.cosine,
        None if math.isinf(f.snr_db) and f.snr_db > 0 else f.snr_db,
        f.outside + f.special,
        diff.elements,
        worst_sample=number,
        peak=f.peak,
        incomparable=bool(diff.problem or f.special),
    )
    if floor is not None and not math.isinf(floor.worst.snr_db):
        entry.noise_snr_db = floor.worst.snr_db
    if diff.ok:
        entry.verdict = "within-tolerance" if f.max_abs else "equal"
        return entry
    if job.lossy and job.rtol is None and job.atol is None and _resembles(diff):
        entry.verdict = "resembles"
        return entry
    excused = floor is not None and floor.excuses(
        diff, run.suspects.get(diff.name), exact=job.exact
    )
    entry.verdict = "within-noise" if excused else "differs"
    entry.detail = diff.describe()
    return entry


def _resembles(diff: OutputDiff) -> bool:
    """Whether an output of a lossy candidate still has to do with the original.

    What it may lose is for the user to say; what it must not do is have another form, turn into NaN, or point
    elsewhere. Integers, such as the index of the best class, may change.
    """
    if diff.problem or diff.figures.special:
        return False
    return family(diff.dtype) is None or diff.figures.cosine >= LEAST_COSINE


def _merge(known: OutputResult, entry: OutputResult) -> OutputResult:
    """The worse of two samples, with the extremes of both."""
    worse = entry if _badness(entry) > _badness(known) else known
    return replace(
        worse,
        max_abs=max(known.max_abs, entry.max_abs),
        max_rel=max(known.max_rel, entry.max_rel),
        cosine=min(known.cosine, entry.cosine),
        snr_db=_least(known.snr_db, entry.snr_db),
        noise_snr_db=_least(known.noise_snr_db, entry.noise_snr_db),
        differing=known.differing + entry.differing,
        elements=known.elements + entry.elements,
        peak=max(known.peak, entry.peak),
        incomparable=known.incomparable or entry.incomparable,
    )


def _badness(entry: OutputResult) -> tuple[int, float]:
    """Worst are differences that no ratio expresses: another shape or type, a NaN."""
    differs = entry.verdict == "differs"
    if entry.snr_db is None:
        return _RANK.index(entry.verdict), math.inf if differs else -math.inf
    return _RANK.index(entry.verdict), -entry.snr_db


def _least(a: float | None, b: float | None) -> float | None:
    present = [value for value in (a, b) if value is not None]
    return min(present) if present else None


def _ordered(outputs: dict[str, OutputResult], names: list[str]) -> list[OutputResult]:
    position = {name: index for index, name in enumerate(names)}
    last = len(names)
    return sorted(outputs.values(), key=lambda o: position.get(o.name.split("[")[0], last))


def _sample(run: Run) -> SampleResult:
    return SampleResult(run.sample.label, run.shapes, run.sample.sizes, run.seconds)


def _notes(reference: Reference, outputs: list[OutputResult]) -> list[str]:
    notes = []
    if reference.refused:
        count = len(reference.refused)
        notes.append(
            f"the original refused {count} other set{'s' * (count > 1)} of inputs"
            f" ({_short(reference.refused[0])})"
        )
    if reference.cut_short:
        notes.append(f"stopped after {len(reference.runs)} samples to save time")
    for output in outputs:
        if output.verdict == "not-compared":
            notes.append(
                f"output {output.name!r} is nondeterministic in the original, not compared"
            )
        poor = output.noise_snr_db is not None and output.noise_snr_db < _POOR_NOISE_DB
        if output.verdict == "within-noise" and poor:
            notes.append(
                f"output {output.name!r} is ill-conditioned: rounding alone moves it to an SNR of"
                f" {output.noise_snr_db:.0f} dB in the original itself"
            )
    notes += _never_finite(reference)
    return notes


def _short(text: str) -> str:
    return text if len(text) <= _NOTE else text[: _NOTE - 1] + "…"


def _never_finite(reference: Reference) -> list[str]:
    """A float output that never has a finite element was compared only in form."""
    finite: dict[str, bool] = {}
    for run in reference.runs:
        for diff in run.diffs:
            if family(diff.dtype) is not None and diff.elements:
                finite[diff.name] = finite.get(diff.name, False) or diff.figures.finite > 0
    return [
        f"output {name!r} is NaN or infinite throughout, on every sample"
        for name, seen in finite.items()
        if not seen
    ]
