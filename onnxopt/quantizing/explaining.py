"""What quantisation does to each tensor and each layer of the model that was chosen, as plain data.

A tensor, by key:

``name``, ``kind`` (``activation``, ``weight``, ``bias``, ``operand``), ``node``, ``op_type``, ``type``;
``scale`` and ``scale_most``, ``zero_point`` and ``zero_point_most``: the least and the greatest over ``channels`` (None: one for all);
``low``, ``high``: what can be stored; ``seen_low``, ``seen_high``: what was there;
``clipped``: the share of values beyond that, None without a histogram;
``snr_db``: its own rounding, as if all before it were exact; ``snr_accumulated_db``: what it is in the quantised model beside the float
model, on samples; ``histogram``: of the worst ones.

A layer (a node with weights):

``name``, ``op_type``, ``depth``, ``integer``, ``macs``, ``macs_share``, ``result``;
``snr_db``, ``snr_accumulated_db`` of its result, ``weight_snr_db`` (exact), ``operand_snr_db``;
``noise``: what its own rounding (weights, operand, result) adds to its result, as noise over signal power;
``measured``: noise over signal power at the outputs that goes where the layer alone stays in float, None where it was not tried;
``bytes_saved``; ``option``: what leaves it in float.

Layers are ranked by ``measured``, and after those that were tried by ``noise``, which does not foretell what arrives at the outputs: later
layers damp some noise and not other.

Decibels are infinite where there is no noise, and None where nothing is known.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..quantization.loss import (
    clipped,
    decibels,
    noise_of_bins,
    noise_of_steps,
    noise_of_weights,
)
from ..quantization.record import Kept, KeptLayer, Record
from ..runtime.quality.inner import Powers
from .layers import Layer
from .request import SEPARATOR

_HISTOGRAMS = 8
_BINS = 96


def values_of(record: Record) -> dict[str, str]:
    """The values worth comparing: their name in the float model, and in the quantised one."""
    found = {kept.name: kept.back for kept in record.tensors if kept.kind == "activation"}
    for layer in record.layers:
        found.setdefault(layer.result, layer.result)
    return found


class Explanation:
    """Puts together what is known of a quantised model.

    Args:
        record: What was quantised.
        powers: Values in the float and in the quantised model, by name; empty where they were not compared.
        layers: All layers that could be quantised.
    """

    def __init__(
        self,
        record: Record,
        powers: Mapping[str, Powers],
        layers: Sequence[Layer],
    ) -> None:
        self._powers = powers
        self._layers = layers
        self._record = record
        self._own = {kept.back: self._noise(kept) for kept in record.tensors}
        self._by_name = {kept.name: kept for kept in record.tensors}
        self._read = {(kept.name, kept.node): kept for kept in record.tensors}

    def tensors(self) -> list[dict[str, Any]]:
        """Describes the tensors, the noisiest first."""
        found = [self._tensor(kept) for kept in self._record.tensors]
        order = sorted(range(len(found)), key=lambda i: _order(found[i]["snr_db"]))
        shown = 0
        for index in order:
            seen = self._record.tensors[index].seen
            if shown < _HISTOGRAMS and seen is not None and seen.histogram is not None:
                found[index]["histogram"] = _histogram(seen.histogram.bins)
                shown += 1
        return [found[index] for index in order]

    def layers(self, measured: Mapping[str, float]) -> list[dict[str, Any]]:
        """Describes the layers, the most harmful first.

        Args:
            measured: What leaving single ones in float gains, by name.
        """
        kept = {layer.name: layer for layer in self._record.layers}
        total = sum(layer.macs for layer in self._layers) or 1
        macs = {layer.name: layer.macs for layer in self._layers}
        depths = {name: depth for depth, name in enumerate(dict.fromkeys([*macs, *kept]))}
        found = [self._layer(layer) for layer in kept.values()]
        found += [_left(layer) for layer in self._layers if layer.name not in kept]
        for layer in found:
            name = layer["name"]
            layer["depth"] = depths[name]
            layer["macs"] = macs.get(name, 0)
            layer["macs_share"] = macs.get(name, 0) / total
            layer["measured"] = measured.get(name)
        return sorted(found, key=_rank)

    def _tensor(self, kept: Kept) -> dict[str, Any]:
        affine, seen = kept.affine, kept.seen
        low, high = affine.bounds
        there = _limits(kept)
        bins = None if seen is None or seen.histogram is None else seen.histogram.bins
        powers = self._powers.get(kept.name) if kept.kind == "activation" else None
        return {
            "name": kept.name,
            "kind": kept.kind,
            "node": kept.node,
            "op_type": kept.op_type,
            "type": affine.qtype.name,
            "bits": (affine.qtype.levels - 1).bit_length(),
            "channels": int(affine.scale.size) if affine.axis is not None else None,
            "low": float(low.min()),
            "high": float(high.max()),
            "seen_low": there[0],
            "seen_high": there[1],
            "scale": float(affine.scale.min()),
            "scale_most": float(affine.scale.max()),
            "zero_point": int(affine.zero_point.min()),
            "zero_point_most": int(affine.zero_point.max()),
            "clipped": None if bins is None else clipped(bins, affine),
            "snr_db": decibels(self._own[kept.back]),
            "snr_accumulated_db": None if powers is None else decibels(powers.ratio),
            "histogram": None,
        }

    def _layer(self, layer: KeptLayer) -> dict[str, Any]:
        powers = self._powers.get(layer.result)
        weight = self._read.get((layer.weight, layer.name)) or self._by_name.get(layer.weight)
        tensors = [self._by_name.get(layer.data), weight, self._by_name.get(layer.result)]
        parts = [None if kept is None else self._own[kept.back] for kept in tensors]
        known = [part for part in parts if part is not None]
        return {
            "name": layer.name,
            "op_type": layer.op_type,
            "integer": True,
            "result": layer.result,
            "operand_snr_db": decibels(parts[0]),
            "weight_snr_db": decibels(parts[1]),
            "snr_db": decibels(parts[2]),
            "snr_accumulated_db": None if powers is None else decibels(powers.ratio),
            "noise": sum(known) if known else None,
            "bytes_saved": 0 if weight is None else _saved(weight),
            "option": option(layer.name),
        }

    def _noise(self, kept: Kept) -> float | None:
        """What a tensor's own rounding loses."""
        if kept.tensor is not None:
            return noise_of_weights(np.asarray(kept.tensor.numpy()), kept.affine)
        if kept.seen is not None and kept.seen.histogram is not None:
            return noise_of_bins(kept.seen.histogram.bins, kept.affine)
        powers = self._powers.get(kept.name)
        if powers is None or not _holds(kept):
            return None
        return noise_of_steps(kept.affine, powers.mean_square)


def option(name: str) -> str | None:
    """What leaves a layer in float; None where its name cannot be given."""
    if not name or '"' in name or SEPARATOR in name:
        return None
    return f"--exclude {shlex.quote(name)}"


def _rank(layer: Mapping[str, Any]) -> tuple[bool, bool, float]:
    measured = layer["measured"]
    harm = (layer["noise"] or 0.0) if measured is None else measured
    return not layer["integer"], measured is None, -harm


def _left(layer: Layer) -> dict[str, Any]:
    unknown = ("result", "operand_snr_db", "weight_snr_db", "snr_db", "snr_accumulated_db", "noise")
    found: dict[str, Any] = dict.fromkeys(unknown)
    found |= {"name": layer.name, "op_type": layer.op_type, "integer": False}
    return found | {"bytes_saved": 0, "option": None}


def _order(snr: float | None) -> float:
    return float("inf") if snr is None else snr


def _limits(kept: Kept) -> tuple[float | None, float | None]:
    if kept.tensor is not None:
        numbers = np.asarray(kept.tensor.numpy())
        return (float(numbers.min()), float(numbers.max())) if numbers.size else (None, None)
    return (None, None) if kept.seen is None else (kept.seen.low, kept.seen.high)


def _holds(kept: Kept) -> bool:
    """Whether no value is known to be clipped."""
    if kept.seen is None:
        return True
    (low, high), half = kept.affine.bounds, float(kept.affine.scale) / 2
    return float(low) - half <= kept.seen.low and kept.seen.high <= float(high) + half


def _saved(weight: Kept) -> int:
    """Bytes that a weight takes less."""
    assert weight.tensor is not None
    affine = weight.affine
    parameters = affine.scale.nbytes + affine.scale.size * affine.qtype.bits // 8
    return int(weight.tensor.nbytes - weight.tensor.size * affine.qtype.bits // 8 - parameters)


def _histogram(bins: Any) -> dict[str, Any]:
    """Few bins, for drawing; exact zeros are told apart, since rectifiers make so many that they would hide the rest."""
    few = bins.coarsened(_BINS)
    total = max(int(few.counts.sum()), 1)
    return {
        "start": few.first * few.width,
        "width": few.width,
        "counts": [int(count) for count in few.inexact],
        "zeros": few.zeros / total,
    }
