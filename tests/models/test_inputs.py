"""Sample inputs are valid, signed, seeded and follow the dims asked for; no torch is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import models

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", models.names())
def test_seeded(name: str) -> None:
    first, again = models.sample_inputs(name, seed=3), models.sample_inputs(name, seed=3)
    other = models.sample_inputs(name, seed=4)
    assert list(first) == list(again) == list(other)
    assert all(np.array_equal(first[k], again[k]) for k in first)
    assert any(not np.array_equal(first[k], other[k]) for k in first)


def test_images_are_signed() -> None:
    (image,) = models.sample_inputs("resnet").values()
    assert image.dtype == np.float32
    assert image.min() < -1.0
    assert image.max() > 1.0


def test_dims_can_be_chosen() -> None:
    inputs = models.sample_inputs("gpt", dims={"batch": 3, "past": 9, "sequence": 2})
    assert inputs["input_ids"].shape == (3, 2)
    assert inputs["attention_mask"].shape == (3, 11)
    assert inputs["past_key_values.1.value"].shape == (3, 4, 9, 8)


def test_decoder_pads_only_the_cache() -> None:
    mask = models.sample_inputs("llama", dims={"past": 2, "sequence": 9})["attention_mask"]
    assert mask[1].tolist() == [0, 0] + [1] * 9
    assert mask[0].all()


def test_decoder_positions_follow_the_cache() -> None:
    positions = models.sample_inputs("gpt", dims={"past": 4, "sequence": 2})["position_ids"]
    assert positions.tolist() == [[4, 5], [4, 5]]


def test_indices_stay_in_the_vocabulary() -> None:
    inputs = models.sample_inputs("bert", "tiny", dims={"batch": 50})
    assert inputs["input_ids"].max() < 99
    assert set(np.unique(inputs["token_type_ids"])) == {0, 1}
    assert set(np.unique(inputs["attention_mask"])) == {0, 1}


def test_needs_no_torch() -> None:
    code = "import sys, models; models.sample_inputs('swin', 'full'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_missing_torch_names_the_extra() -> None:
    code = "import sys; sys.modules['torch'] = None; import models; models.build('resnet')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'onnxopt[torch]'" in done.stderr


def test_unknown_names_list_what_there_is() -> None:
    with pytest.raises(ValueError, match=r"no reference model 'vgg'; there are resnet,"):
        models.sample_inputs("vgg")
    with pytest.raises(ValueError, match="no size 'huge'; there are tiny, small, full"):
        models.sample_inputs("resnet", "huge")


def test_names_are_in_two_groups() -> None:
    assert models.own_names() + models.transformers_names() == models.names()
    assert all(name.startswith("hf-") for name in models.transformers_names())


def test_attention_can_be_chosen_where_there_is_a_choice() -> None:
    assert models.attentions("hf-bert") == ("sdpa", "eager")
    assert models.attentions("bert") == ()
    with pytest.raises(ValueError, match="bert has no attention 'eager'; there is none to choose"):
        models.cached("bert", attention="eager")
