"""The result of a validation, as plain data: what was run, what differed, and the verdict."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["passed", "failed", "not-validated"]


@dataclass
class OutputResult:
    """One output (a leaf, for containers), the worst over all samples.

    Attributes:
        name: output name.
        dtype: its dtype, 'str' for strings, '' for an absent optional.
        verdict: 'equal', 'within-tolerance', 'within-noise' (no worse than the original's own
            sensitivity to rounding), 'resembles' (all that is asked of a lossy candidate), 'differs', or 'not-compared' (nondeterministic in the original).
        max_abs: largest absolute error.
        max_rel: largest error relative to the element.
        cosine: smallest cosine between reference and candidate.
        snr_db: smallest signal-to-noise ratio in dB; None when equal throughout.
        differing: elements out of tolerance (unequal, for integers), summed over samples.
        elements: elements compared, summed over samples.
        noise_snr_db: SNR of the original against itself under changed rounding, where measured.
        worst_sample: index of the sample with the largest error.
        detail: what differs, in words; '' when nothing does.
        peak: largest finite magnitude in the reference.
        incomparable: it differs in some sample in what no ratio expresses: its shape or type, NaN or infinity.
    """

    name: str
    dtype: str = ""
    verdict: str = "equal"
    max_abs: float = 0.0
    max_rel: float = 0.0
    cosine: float = 1.0
    snr_db: float | None = None
    differing: int = 0
    elements: int = 0
    noise_snr_db: float | None = None
    worst_sample: int = 0
    detail: str = ""
    peak: float = 0.0
    incomparable: bool = False


@dataclass
class SampleResult:
    """One sample that was run.

    Attributes:
        label: where it comes from.
        shapes: input name -> shape.
        sizes: size given to each symbolic dim ('?input.axis' for unnamed ones).
        seconds: duration of the reference's run.
    """

    label: str
    shapes: dict[str, Any] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass
class ProviderResult:
    """What happened on one provider.

    Attributes:
        provider: full name.
        status: passed, failed or not-validated.
        reason: one line; '' when passed.
        backend: 'onnxruntime' or 'onnx-reference-evaluator'.
        outputs: one entry an output.
        samples: the samples the reference accepted.
        notes: what a reader should know beside the verdict.
        versions: what executed the models.
        seconds: wall time.
    """

    provider: str
    status: Status
    reason: str = ""
    backend: str = "onnxruntime"
    outputs: list[OutputResult] = field(default_factory=list)
    samples: list[SampleResult] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass
class Validation:
    """How a candidate compares with its reference.

    Attributes:
        status: 'passed' on every provider, 'failed' on one, or 'not-validated' because something
            could not be run.
        reason: one line; '' when passed.
        providers: one entry a provider.
        rtol: the user's relative tolerance; None for defaults by dtype.
        atol: the user's absolute tolerance.
        exact: only bit-exact rewrites were applied.
        versions: of onnxopt, numpy, Python and whatever executed the models.
        seconds: wall time.
        remarks: what a reader should know that concerns no provider in particular.
    """

    status: Status
    reason: str = ""
    providers: list[ProviderResult] = field(default_factory=list)
    rtol: float | None = None
    atol: float | None = None
    exact: bool = False
    versions: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    remarks: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """True when everything that was asked for ran and agreed."""
        return self.status == "passed"

    @property
    def samples(self) -> list[SampleResult]:
        """Samples of the first provider."""
        return self.providers[0].samples if self.providers else []

    @property
    def notes(self) -> list[str]:
        """Remarks, and the notes of all providers, without repetition."""
        notes = [note for provider in self.providers for note in provider.notes]
        return list(dict.fromkeys([*self.remarks, *notes]))

    def to_json(self) -> dict[str, Any]:
        """A dict that `json.dumps` takes in strict mode: numbers that are not finite become None."""
        data: dict[str, Any] = _finite(asdict(self))
        return data


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
