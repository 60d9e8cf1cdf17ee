"""Which modes are worth trying on a model."""

from __future__ import annotations

from ..errors import UsageError
from .request import Request
from .straight import MODE, nothing
from .workshop import Workshop

_MOSTLY = 0.9


def modes_for(
    workshop: Workshop, request: Request, mode: str, label: str, *, data: bool
) -> list[str]:
    """The modes to try, the most promising first.

    Args:
        workshop: Has the optimised model.
        request: What was asked for.
        mode: The mode asked for, or ``auto``.
        label: The model's name, for messages.
        data: Whether there are samples or statistics.

    Raises:
        UsageError: Nothing can be quantised, or only with samples.
    """
    if mode == MODE and not workshop.layers(MODE):
        raise UsageError(nothing(label))
    if mode != "auto":
        return [mode]
    static = workshop.layers("static")
    dynamic = workshop.layers("dynamic")
    if not static and not dynamic:
        raise UsageError(
            f"{label}: nothing to quantise: no layer with constant weights has an integer kernel"
        )
    work = sum(layer.macs for layer in static) or 1
    products = sum(layer.macs for layer in dynamic) / work
    modes = []
    if static and data:
        modes.append("static")
    if dynamic and products > 0.5:
        # First where there is little else: it needs no ranges, and static need not be mended where it is far off.
        modes.insert(0 if products > _MOSTLY else len(modes), "dynamic")
    if not modes:
        raise UsageError(
            f"{label}: most of its work is convolutions, whose quantisation needs calibration "
            "data: give some with --calibrate"
        )
    return _fitting(request, modes)


def _fitting(request: Request, modes: list[str]) -> list[str]:
    """The modes in which what was asked for means something."""
    fitting, refusals = list[str](), list[UsageError]()
    for mode in modes:
        try:
            request.check(mode)
            fitting.append(mode)
        except UsageError as error:
            refusals.append(error)
    if not fitting:
        raise refusals[0]
    return fitting
