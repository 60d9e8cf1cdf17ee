"""Targets' files: what ships is sound, and what is wrong in one is named with file and key."""

from __future__ import annotations

import re
from pathlib import Path

import onnx_ir as ir
import pytest

from onnxopt.analysis.ops.common import FLOAT
from onnxopt.compiler.plan import pipeline_of
from onnxopt.errors import UsageError
from onnxopt.targets.load import load_target, target_names

GOOD = """
summary = "mine"
providers = ["CPUExecutionProvider"]
pipeline = "lower"

[domains]
"com.microsoft" = 1

[kernels."com.microsoft"]
QuickGelu = ["float32", "bfloat16"]

[epilogues]
FusedConv = ["HardSwish"]

[keep]
float16 = ["Softmax"]

[reasons]
Softmax = "its sums overflow"
"""

FAULTS = {
    "not-toml": ("summary =", "not TOML: "),
    "no-summary": ("providers = []", "summary must be a text"),
    "unknown-key": ('sumary = "x"', "no key 'sumary' in a target; there are: avoid, choices, "),
    "providers": (
        'summary = "x"\nproviders = "CPUExecutionProvider"',
        "providers must be a list",
    ),
    "version": ('summary = "x"\n[domains]\n"com.microsoft" = true', "domains.com.microsoft must"),
    "kernels": ('summary = "x"\nkernels = 3', "kernels must be a table"),
    "domain": (
        'summary = "x"\n[kernels."com.microsoft"]\nGelu = []',
        "domains: lacks 'com.microsoft', which has kernels",
    ),
    "type": (
        GOOD.replace("bfloat16", "f32"),
        "kernels.com.microsoft.QuickGelu: no type 'f32'; there are: float16, bfloat16, float32, ",
    ),
    "types": (
        GOOD.replace('["float32", "bfloat16"]', '"float32"'),
        "kernels.com.microsoft.QuickGelu must be a list of names",
    ),
    "epilogues": (
        GOOD.replace('["HardSwish"]', "1"),
        "epilogues.FusedConv must be a list of operators",
    ),
    "avoid": ('summary = "x"\navoid = "Gelu"', "avoid must be a list of names"),
    "weights": ('summary = "x"\nseparate_weights_above = "much"', "separate_weights_above must be"),
    "keep": (GOOD.replace('["Softmax"]', "[1]"), "keep.float16 must be a list of names"),
    "reasons": (GOOD.replace('"its sums overflow"', "1"), "reasons.Softmax must be a text"),
}


def write(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", target_names())
def test_targets_that_ship_are_sound(name: str) -> None:
    target = load_target(name)
    assert target.name == name
    assert target.summary
    assert pipeline_of(target) == target.pipeline
    assert set(target.epilogues) <= {op_type for _, op_type in target.kernels}


def test_a_target_of_the_users_own(tmp_path: Path) -> None:
    target = load_target(write(tmp_path, GOOD))
    assert (target.name, target.summary, target.pipeline) == ("mine", "mine", "lower")
    assert target.has("QuickGelu", FLOAT)
    assert not target.has("QuickGelu", ir.DataType.FLOAT16)
    assert target.epilogues == {"FusedConv": {"HardSwish"}}
    assert target.keep["float16"] == {"Softmax"} | load_target("generic").keep["float16"]
    assert target.source == str(tmp_path / "mine.toml")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_file_and_key(fault: str, tmp_path: Path) -> None:
    text, wanted = FAULTS[fault]
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load_target(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert wanted in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_example_of_the_page_is_a_target(tmp_path: Path) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "targets.md"
    [text] = re.findall(r"^```toml\n(.*?)^```$", page.read_text(), re.M | re.S)
    target = load_target(write(tmp_path, text))
    assert pipeline_of(target) == "lower"
    assert target.has("FusedConv", FLOAT)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml: the target's file cannot be read: No such"):
        load_target(str(tmp_path / "none.toml"))


def test_a_pipeline_that_is_none(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace('"lower"', '"lover"'))
    with pytest.raises(UsageError) as caught:
        pipeline_of(load_target(path))
    assert str(caught.value).startswith(f"{path}: pipeline: no pass or rule is called 'lover'")
