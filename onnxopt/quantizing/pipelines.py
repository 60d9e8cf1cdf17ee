"""The pipelines that quantise, as text, by mode."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..quantization.table import Quantization
from ..quantization.types import qtype
from .request import Request, names, option

PREPARE = "inline-functions{all=true}, O2"
"""What makes the optimised model that is quantised. In functions nothing is: their values cannot be observed."""
_TIDY = "prune-initializers, deduplicate-initializers, remove-dead-nodes"
_UNWRITABLE = frozenset('";\n')
_WILD = frozenset("[]*")
_DYNAMIC_WEIGHTS = ("s8", "u8")


def body(
    mode: str, request: Request, table: Quantization, bits: int, more: Iterable[str] = ()
) -> str:
    """The passes that quantise an optimised model.

    Outliers are tamed before dynamic quantisation, unless SmoothQuant, which does more, was asked for.

    Args:
        mode: ``static``, ``dynamic`` or ``weight-only``.
        request: What was asked for.
        table: What the target computes in integers.
        bits: Bits of 8-bit weights that may be used; 8 for all.
        more: Names to leave in float besides those of the request.
    """
    chosen = [option("include", names(request.include))] if request.include else []
    left = names([*request.exclude, *(_pattern(name) for name in more)])
    if left:
        chosen.append(option("exclude", left))
    steps = [foundation(mode, request)]
    if mode == "static":
        steps += _static(request, used_bits(mode, request, table, bits), chosen)
    elif mode == "dynamic":
        steps += _dynamic(request, table, bits, chosen)
    else:
        steps += _weights(request, chosen)
    return ", ".join(step for step in (*steps, _TIDY) if step)


def used_bits(mode: str, request: Request, table: Quantization, bits: int) -> int:
    """Bits that 8-bit weights use: all where weights alone are stored, and where they are unsigned or floats.

    Kernels for unsigned weights widen both factors to 16 bits before they multiply, so that nothing saturates (static
    quantisation; dynamic quantisation also has kernels whose weights are signed whatever was asked for).

    Args:
        mode: ``static``, ``dynamic`` or ``weight-only``.
        request: What was asked for.
        table: What the target computes in integers.
        bits: Bits that signed weights may use.
    """
    kind = qtype(request.weights or table.weights)
    spared = kind.floating or not kind.signed
    return 8 if mode == "weight-only" or (mode == "static" and spared) else bits


def foundation(mode: str, request: Request) -> str:
    """Those of the passes that make the float model that is then quantised: '' where that is the optimised one."""
    steps = []
    if request.smooth_quant is not None and mode != "weight-only":
        steps.append(f"smooth-quant{{{option('alpha', request.smooth_quant)}}}")
    if mode == "static":
        steps += ["prequantize"] + (["equalize"] if request.equalize else [])
    return ", ".join(steps)


def _static(request: Request, bits: int, chosen: Sequence[str]) -> list[str]:
    options = [
        option(key, value)
        for key, value in (
            ("activations", request.activations),
            ("weights", request.weights),
            ("granularity", request.granularity),
            ("method", request.method),
        )
        if value
    ]
    if bits != 8:
        options.append(f"bits={bits}")
    if request.symmetric:
        options.append("symmetric=true")
    if request.bias_correct:
        options.append("bias_correct=true")
    if request.wide:
        options.append(option("wide", names(request.wide)))
    return [_call("quantize", [*options, *chosen])]


def _dynamic(request: Request, table: Quantization, bits: int, chosen: Sequence[str]) -> list[str]:
    options = []
    if request.weights in _DYNAMIC_WEIGHTS:
        options.append(option("weights", request.weights))
    granularity = request.granularity or table.granularity
    if granularity in ("tensor", "channel"):
        options.append(option("granularity", granularity))
    if bits != 8:
        options.append(f"bits={bits}")
    tame = [] if request.smooth_quant is not None else [_call("tame-outliers", chosen)]
    return [*tame, _call("quantize-dynamic", [*options, *chosen])]


def _weights(request: Request, chosen: Sequence[str]) -> list[str]:
    stored = request.stored
    options = [
        option("type", stored.weights),
        option("block", stored.block),
        option("method", stored.method),
        f"symmetric={str(stored.symmetric).lower()}",
    ]
    return [_call("quantize-weights", [*options, *chosen])]


def _pattern(name: str) -> str:
    """A name, with wildcards for what text of a pipeline cannot hold."""
    if not set(name) & _UNWRITABLE:
        return name
    return "".join("?" if letter in _WILD or letter in _UNWRITABLE else letter for letter in name)


def _call(name: str, options: Sequence[str]) -> str:
    return f"{name}{{{','.join(options)}}}" if options else name
