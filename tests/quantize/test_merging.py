"""Merging statistics: whatever shards samples are in, and however these are merged, the file is the same to the last byte."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from onnxopt.quantization.methods import needs
from onnxopt.quantization.ranges import choose_range
from onnxopt.quantization.statistics import Statistics, load, load_merged
from onnxopt.quantization.types import qtype
from onnxopt.quantization.wants import Wants

Samples = Sequence[Sequence[tuple[float, float]]]
CHANNELS = 2
METHODS = ("minmax", "moving-average", "percentile:99.9", "entropy", "mse", "hmse")
NUMBERS = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.floats(-6, 6, width=32),
    st.sampled_from([0.0, -0.0, 1e-45, -1e-45, 0.1, -3.4e38, 3.4e38]),
)
SAMPLES = st.lists(
    st.lists(st.tuples(NUMBERS, NUMBERS), max_size=6), min_size=1, max_size=7
)  # rows of two channels
ZEROS = [[(0.0, -0.0)], [(-0.0, 0.0)], [(0.0, 0.0)], [(-0.0, -0.0)]]


def gathered(samples: Samples, wants: Wants) -> Statistics:
    statistics = Statistics("m", {"x": wants})
    for sample in samples:
        statistics.update("x", np.asarray(sample, np.float32).reshape(-1, CHANNELS))
        statistics.samples += 1
    return statistics


def text(statistics: Statistics, folder: Path) -> str:
    path = folder / "s.json"
    statistics.save(path)
    return path.read_text()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("statistics")


@pytest.mark.parametrize("channels", [None, 1])
@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(samples=SAMPLES, chance=st.randoms(use_true_random=False))
@example(samples=ZEROS, chance=Random(1))
def test_order_and_grouping_change_nothing(
    folder: Path, method: str, channels: int | None, samples: Samples, chance: Random
) -> None:
    wants = needs(method) | Wants(channels=channels)
    whole = gathered(samples, wants)
    shuffled = chance.sample(samples, len(samples))
    cuts = sorted(chance.choices(range(len(samples) + 1), k=chance.randrange(4)))
    bounds = [0, *cuts, len(samples)]
    shards = [gathered(shuffled[a:b], wants) for a, b in itertools.pairwise(bounds)]
    while len(shards) > 1:  # pairs in any order, as a tree or a chain
        first, second = chance.sample(range(len(shards)), 2)
        shards[first].merge(shards[second])
        del shards[second]
    shards[0].save(folder / "merged.json")
    expected = text(whole, folder)
    assert text(load_merged([folder / "merged.json"]), folder) == expected
    assert json.loads(expected)["samples"] == len(samples)
    if not whole.tensors["x"].count:
        return
    merged, kind = load(folder / "s.json").tensors["x"], qtype("u8")
    for symmetric in (False, True):
        assert choose_range(merged, method, kind, symmetric) == choose_range(
            whole.tensors["x"], method, kind, symmetric
        )
