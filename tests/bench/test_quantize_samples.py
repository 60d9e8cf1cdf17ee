"""Samples have structure, differ between the parts, and are the same for everyone who reads them."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from bench_lib.cases import Case
from bench_lib.quantize import digits
from bench_lib.quantize.pictures import picture
from bench_lib.quantize.samples import PARTS, drawn, read, store
from bench_lib.quantize.subjects import OTHERS, argument, named, parse

RESNET = Case("resnet", "tiny", "torchscript")


def test_no_samples_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no samples for calibration"):
        store([], tmp_path / "calibration", 3)


def test_unknown_subjects_are_said_with_what_there_is() -> None:
    with pytest.raises(ValueError, match=r"no reference model 'vgg'.*silero_vad"):
        parse("digits,vgg", "tiny", "torchscript")


def test_subjects_survive_the_command_line() -> None:
    found = parse(",".join([*OTHERS, "resnet", "bert:dynamo"]), "tiny", "torchscript")
    assert [named(argument(s)) for s in found] == found
    assert [s.label for s in found[-2:]] == ["resnet torchscript", "bert dynamo"]


def test_pictures_are_neither_noise_nor_flat() -> None:
    found = [picture((3, 32, 48), np.random.default_rng(seed)) for seed in range(40)]
    for image in found:
        assert (image.shape, image.dtype) == ((3, 32, 48), np.float32)
        assert np.abs(image).max() <= 2.5
        neighbours = np.corrcoef(image[:, :, 1:].ravel(), image[:, :, :-1].ravel())[0, 1]
        assert neighbours > 0.5
    spreads = [float(image.std()) for image in found]
    assert max(spreads) > 2 * min(spreads) > 0.1


def test_reference_models_get_pictures_of_their_own_size_by_seed() -> None:
    once = list(islice(drawn(RESNET, PARTS["calibration"]), 3))
    again = list(islice(drawn(RESNET, PARTS["calibration"]), 3))
    apart = list(islice(drawn(RESNET, PARTS["evaluation"]), 3))
    for one, two, other in zip(once, again, apart, strict=True):
        (name,) = one
        assert one[name].shape[:2] == (1, 3)
        assert np.array_equal(one[name], two[name])
        assert not np.array_equal(one[name], other[name])


def test_texts_are_valid_tokens_of_one_batch() -> None:
    (sample,) = islice(drawn(Case("bert", "tiny", "torchscript"), 1), 1)
    assert sample["input_ids"].shape == (1, 12)
    assert 0 <= sample["input_ids"].min() <= sample["input_ids"].max() < 99
    assert set(np.unique(sample["attention_mask"])) <= {0, 1}


def test_samples_come_back_in_order(tmp_path: Path) -> None:
    store(({"x": np.array([n])} for n in range(20)), tmp_path / "part", 12)
    assert [int(s["x"][0]) for s in read(tmp_path / "part")] == list(range(12))
    assert len(list(read(tmp_path / "part", 5))) == 5


def test_digits_are_calibrated_on_none_of_those_held_out() -> None:
    pytest.importorskip("sklearn")
    trained = {s["images"].tobytes() for s in digits.calibration()}
    held_out = [s["images"] for s in digits.evaluation()]
    assert len(held_out) == 719
    assert held_out[0].dtype == np.float32
    assert not trained & {image.tobytes() for image in held_out}
