"""Reading budgets: what is taken, and the one line that says what is wrong and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnxopt.checking.budget import read_budget
from onnxopt.checking.keys import KEYS
from onnxopt.checking.run import MEASURES
from onnxopt.errors import UsageError

WHOLE = """# what must hold
max_bytes = 5_000_000
"min_cosine" = 0.99
allowed_domains = [
  "ai.onnx",
]

[samples]
inputs = ["samples.npz"]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "budget.toml"
    path.write_text(text)
    return path


def refused(folder: Path, text: str) -> str:
    """The message for a budget, with the folder left out."""
    with pytest.raises(UsageError) as caught:
        read_budget(written(folder, text))
    return str(caught.value).replace(f"{folder}/", "")


def test_a_file_is_read_with_its_lines(tmp_path: Path) -> None:
    (tmp_path / "samples.npz").touch()
    found = read_budget(written(tmp_path, WHOLE))
    assert found.limits == {
        "max_bytes": 5_000_000,
        "allowed_domains": ("ai.onnx",),
        "min_cosine": 0.99,
    }
    assert found.lines == {"max_bytes": 2, "min_cosine": 3, "allowed_domains": 4}
    assert found.inputs == (tmp_path / "samples.npz",)
    assert found.where("min_cosine") == f"{tmp_path}/budget.toml:3: min_cosine"


def test_a_mapping_is_read() -> None:
    found = read_budget({"max_nodes": 3})
    assert (found.limits, found.where("max_nodes")) == ({"max_nodes": 3}, "budget: max_nodes")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\nmax_bytes = '5 MB'", "2: max_bytes: expected a whole number, 0 or above, not '5 MB'"),
        ("max_bytes = -1", "1: max_bytes: expected a whole number, 0 or above, not -1"),
        ("max_nodes = true", "1: max_nodes: expected a whole number, 0 or above, not true"),
        ("max_opset = 0", "1: max_opset: expected a whole number, 1 or above, not 0"),
        ("min_cosine = 2", "1: min_cosine: expected a number from -1 to 1, not 2"),
        ("min_snr_db = nan", "1: min_snr_db: expected a finite number, in dB, not nan"),
        ("max_bytes_ratio = 0", "1: max_bytes_ratio: expected a number above 0, not 0"),
        ("validation = 'yes'", "1: validation: expected \"passed\", not 'yes'"),
        ("required_provider = ''", '1: required_provider: expected the name of a provider, such as "cuda", not \'\''),
        ("allowed_domains = 'x'", "1: allowed_domains: expected a list of domains, such as [\"ai.onnx\"], not 'x'"),
        ("max_bytes = 1\n# x\nmax_byte = 1", "3: max_byte: no such key: expected max_bytes"),
        ("[max_nodes]\na = 1", "1: max_nodes: expected a whole number, 0 or above, not a table"),
        ("max_nodes = 1\n[samples]\nfiles = []", "3: samples.files: no such key: expected 'inputs'"),
        ("max_nodes = 1\n[samples]\ninputs = 'a'", "3: samples.inputs: expected a list of files and folders, not 'a'"),
        ("max_nodes = 1\nsamples = 1", "2: samples: expected a table with 'inputs', not 1"),
        ("max_nodes = 1\n[samples]\ninputs = ['no.npz']", "3: samples.inputs: no.npz does not exist"),
        ("max_nodes = 1\nmax_bytes = ", "2: expected TOML: Invalid value"),
        ("max_nodes = 1\nmax_bytes", "2: expected TOML: Expected '=' after a key in a key/value pair"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, line: str) -> None:
    assert refused(tmp_path, text) == f"budget.toml:{line}"


def test_an_unlike_key_gets_the_list(tmp_path: Path) -> None:
    assert refused(tmp_path, "colour = 1").endswith(f"expected one of {', '.join(KEYS)}, samples")


def test_a_budget_that_asks_for_nothing_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, "# nothing").startswith("budget.toml: asks for nothing")


def test_a_budget_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no\.toml: the budget cannot be read: No such file"):
        read_budget(tmp_path / "no.toml")


def test_keys_that_compare_need_another_model(tmp_path: Path) -> None:
    read_budget(written(tmp_path, "max_nodes = 1")).require_reference()
    budget = read_budget(written(tmp_path, "max_nodes = 1\nmin_cosine = 0.5"))
    with pytest.raises(UsageError, match=r"toml:2: min_cosine: compares models: .*--against"):
        budget.require_reference()


def test_every_key_is_measured() -> None:
    assert list(MEASURES) == list(KEYS)
