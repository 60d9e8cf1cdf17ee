"""Rounding that needs data: the Gram matrices of the products' inputs, gathered for a few products at a time.

They are large ([K, K] float64 each) and are only to be had of the model as it is before it changes. So these
weights are rounded ahead, and kept in integers until they are written: an eighth of the model for 4 bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np

from onnxopt.errors import ModelError, UsageError
from onnxopt.pipeline.base import Context, Grams
from onnxopt.quantize.blocks import Array, Blocked, Scheme
from onnxopt.quantize.gptq import Factor, factorised, gptq
from onnxopt.quantize.hmse import SearchedRange

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
    """Rounds weights ahead, in the order given but those of one input together.

    Args:
        context: The model, as it still is, and the service.
        method: ``gptq`` or ``hmse``.
        act_order: Whether GPTQ rounds the rows of the largest inputs first.
        work: The products and their jobs; the same job may stand for several.

    Yields:
        Each job that is to stay in float, and why. The others have their results.
    """
    service = needed(context, method)
    by_input: dict[str, dict[Job, None]] = {}
    for product, job in work:
        value = product.node.inputs[0]
        by_input.setdefault((value.name if value is not None else "") or "", {})[job] = None
    for group in _groups(by_input):
        grams = service(context.model, group)
        for name in group:
            jobs = [job for job in by_input[name] if job.done is None]
            if name in grams:
                rounding = _method(name, grams[name], method, act_order)
                for job in jobs:
                    job.done = job.compute(rounding)
            else:
                yield from ((job, "calibration has not seen the product's input") for job in jobs)


def _groups(by_input: Mapping[str, Mapping[Job, None]]) -> Iterator[list[str]]:
    """Names of inputs whose Gram matrices fit in memory together."""
    group: list[str] = []
    size = 0
    for name, jobs in by_input.items():
        depth = next(iter(jobs)).columns.dims[0]
        if group and size + 8 * depth * depth > _AT_ONCE:
            yield group
            group, size = [], 0
        group.append(name)
        size += 8 * depth * depth
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
