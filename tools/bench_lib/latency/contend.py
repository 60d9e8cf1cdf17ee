"""Who takes part in the latency benchmark, and what each is told about a model."""

from __future__ import annotations

from dataclasses import replace

from bench_lib.cases import Case
from bench_lib.contenders import BY_NAME, ONNXRUNTIME, Contender
from bench_lib.latency.families import description

_TRANSFORMERS = "onnxruntime transformers"
_ADAPTED = ("onnxsim", "onnxslim", "onnxoptimizer", "onnxscript")


def contenders(provider: str) -> tuple[Contender, ...]:
    """All that take part: the original, the peers, and ours for any runtime and for this one.

    The original takes part twice, so that the ratio of the two shows what noise makes of equal things.

    Args:
        provider: ``cpu`` or ``cuda``; what writes for one runtime is told so.
    """
    target = f"ort-{provider}"
    return (
        Contender("original", "original", ""),
        Contender("original again", "control", ""),
        *(BY_NAME[name] for name in _ADAPTED),
        replace(BY_NAME["onnxruntime extended"], options=(provider,)),
        Contender(_TRANSFORMERS, "peer", ONNXRUNTIME, (provider,)),
        Contender("onnxopt O2", "ours", "onnxopt", ("-O2",)),
        Contender(f"onnxopt O2 {target}", "ours", "onnxopt", ("-O2", "--target", target)),
        Contender(f"onnxopt O3 {target}", "ours", "onnxopt", ("-O3", "--target", target)),
    )


def told(contender: Contender, case: Case) -> Contender:
    """The contender as it is run on ``case``: some are told the architecture."""
    if contender.name != _TRANSFORMERS:
        return contender
    return replace(contender, options=(*map(str, description(case)), *contender.options))
