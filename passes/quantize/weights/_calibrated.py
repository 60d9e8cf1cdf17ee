"""Rounding that needs data: the Gram matrices of the products' inputs, gathered for a few products at a time.

They are large ([K, K] float64 each) and are only to be had of the model as it is before it changes. So these
weights are rounded ahead, and kept in integers until they are written: an eighth of the model for 4 bits. A weight that
is multiplied with several inputs is rounded by the sum of their matrices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from onnxopt.errors import ModelError, UsageError
from onnxopt.pipeline.base import Context, Grams
from onnxopt.quantization.blocks import Array, Blocked, Scheme
from onnxopt.quantization.gptq import Factor, factorised, gptq
from onnxopt.quantization.hmse import SearchedRange

from ._products import Product
from ._stored import Job, Round, with_fit

_AT_ONCE = 256 << 20


def needed(context: Context, method: str) -> Grams:
    """The service that gives Gram matrices.

    Raises:
        UsageError: There is none.
    """
    if context.grams is None:
        raise UsageError(f"{method} needs calibration data (--calibrate); method=hqq goes without")
    return context.grams


def compute(
    context: Context, method: str, act_order: bool, work: list[tuple[Product, Job]]
) -> Iterator[tuple[Job, str]]:
    """Rounds weights ahead, in the order given but those of the same inputs together.

    Args:
        context: The model, as it still is, and the service.
        method: ``gptq`` or ``hmse``.
        act_order: Whether GPTQ rounds the rows of the largest inputs first.
        work: The products and their jobs; the same job may stand for several.

    Yields:
        Each job that is to stay in float, and why. The others have their results.
    """
    service = needed(context, method)
    read: dict[Job, dict[str, None]] = {}
    for product, job in work:
        value = product.node.inputs[0]
        read.setdefault(job, {})[(value.name if value is not None else "") or ""] = None
    by_inputs: dict[tuple[str, ...], list[Job]] = {}
    for job, names in read.items():
        by_inputs.setdefault(tuple(names), []).append(job)
    for group in _groups(by_inputs):
        grams = service(context.model, list(dict.fromkeys(name for key in group for name in key)))
        for key in group:
            gram = _sum(grams, key)
            if gram is None:
                reason = "calibration has not seen the product's input"
                yield from ((job, reason) for job in by_inputs[key])
                continue
            rounding = _method(key[0], gram, method, act_order)
            for job in by_inputs[key]:
                job.done = job.compute(rounding)


def _sum(grams: Mapping[str, Array], names: tuple[str, ...]) -> Array | None:
    """The Gram matrix of all that a weight is multiplied with; None where nothing of it was seen."""
    seen = [name for name in names if name in grams]
    if not seen:
        return None
    total = grams[seen[0]]
    for name in seen[1:]:
        total = total + grams[name]
    return total


def _groups(by_inputs: Mapping[tuple[str, ...], Sequence[Job]]) -> Iterator[list[tuple[str, ...]]]:
    """Names of inputs that are needed together, as many as have Gram matrices that fit in memory."""
    group: list[tuple[str, ...]] = []
    size = 0
    for names, jobs in by_inputs.items():
        depth = jobs[0].columns.dims[0]
        needed_bytes = 8 * depth * depth * len(names)
        if group and size + needed_bytes > _AT_ONCE:
            yield group
            group, size = [], 0
        group.append(names)
        size += needed_bytes
    if group:
        yield group


def _method(name: str, gram: Array, method: str, act_order: bool) -> Round:
    if method == "hmse":
        return with_fit(SearchedRange(np.diagonal(gram).copy()))
    try:
        return partial(_by_gptq, factorised(gram, by_activity=act_order))
    except ModelError as error:
        raise ModelError(f"input {name!r} of a product: {error}") from error.__cause__


def _by_gptq(factor: Factor, panel: Array, scheme: Scheme) -> Blocked:
    return gptq(panel, scheme, factor)
