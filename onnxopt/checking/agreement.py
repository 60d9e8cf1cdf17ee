"""How often the build chooses the same class as the other model, on the samples they both run on."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import OnnxoptError
from .verdict import CannotMeasure, Finding

if TYPE_CHECKING:
    from ..runtime.facts import InputSpec
    from ..runtime.quality.figures import Quality
    from .subject import Subject

Feeds = Sequence[Mapping[str, Any]]


def min_top1_agreement(subject: Subject, limit: float) -> Finding:
    """The share of positions at which the largest entry along the last axis is the same; of several outputs the least."""
    feeds = _usable(subject)
    quality = _measured(subject, feeds)
    if quality.failure:
        raise CannotMeasure(f"{subject.label}: {quality.failure}")
    shares = {name: found.top1 for name, found in quality.outputs.items() if found.top1 is not None}
    if not shares:
        raise CannotMeasure("no float output has two entries along its last axis to choose from")
    name = min(shares, key=lambda output: shares[output])
    kind = "generated sample" if subject.generated else "sample"
    detail = f"output {name!r}, {quality.samples} {kind}{'s' * (quality.samples != 1)}"
    return Finding(shares[name], shares[name] >= limit, detail)


def _usable(subject: Subject) -> Feeds:
    """The user's samples; of generated ones those whose sizes the other model takes."""
    if not subject.generated:
        return subject.feeds
    shapes = [sample.shapes for sample in subject.validation.samples]
    usable = [feed for feed in subject.feeds if _shapes(feed) in shapes]
    if not usable:
        reason = subject.validation.reason or "the other model takes none of those generated"
        raise CannotMeasure(f"no samples: {reason}")
    return usable


def _shapes(feed: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(np.shape(value)) for name, value in feed.items()}


def _measured(subject: Subject, feeds: Feeds) -> Quality:
    from ..runtime.quality.job import Reading
    from ..runtime.quality.measuring import measure_quality
    from ..runtime.trace import input_specs

    specs = input_specs(subject.reference.peek())
    provider = subject.provider
    subject.settings.stage("counting equal choices")
    with tempfile.TemporaryDirectory(prefix="onnxopt-") as folder:
        _write(Path(folder), feeds, specs)
        try:
            [found] = measure_quality(
                subject.reference.path,
                [subject.build.path],
                Reading(folder, specs),
                provider=provider,
                timeout_s=subject.settings.timeout,
                custom_op_libraries=subject.libraries,
                limit=len(feeds),
            )
        except OnnxoptError as error:
            raise CannotMeasure(str(error)) from None
    return found


def _write(folder: Path, feeds: Feeds, specs: Sequence[InputSpec]) -> None:
    """Writes an archive a sample; a leading axis of 1 tells readers that it holds one."""
    for spec in specs:
        if spec.kind != "tensor" or spec.shape is None:
            raise CannotMeasure(f"input {spec.name!r} is no tensor of known rank")
    for number, feed in enumerate(feeds):
        arrays: dict[str, Any] = {n: np.asarray(value)[np.newaxis] for n, value in feed.items()}
        np.savez(folder / f"sample_{number:05d}.npz", **arrays)
