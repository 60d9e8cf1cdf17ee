"""What ``onnxruntime.transformers.optimizer`` is told about a model: its type, heads and width.

The types are those that onnxruntime's own scripts give for these architectures
(``onnxruntime/transformers/huggingface_models.py`` and ``models/*/convert_to_onnx.py``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bench_lib.cases import Case
from models.build import lookup

_TYPES = {
    **dict.fromkeys(
        ("bert", "roberta", "distilbert", "distilroberta", "albert", "camembert"), "bert"
    ),
    **dict.fromkeys(("xlm roberta", "xlm", "xlnet", "flaubert", "layoutlm", "ctrl"), "bert"),
    **dict.fromkeys(("gpt", "gpt2", "llama"), "gpt2"),
    **{"vit": "vit", "swin": "swin", "t5": "t5", "bart": "bart", "whisper": "bart", "clip": "clip"},
    **{"phi": "phi", "qwen3": "qwen3", "gpt neox": "gpt_neox"},
}
_HEADS = ("heads", "num_attention_heads", "num_heads", "n_head", "n_heads")
_WIDTH = ("width", "hidden_size", "n_embd", "d_model", "dim", "embed_dim")


def description(case: Case) -> tuple[str, int, int]:
    """Type of model, number of heads and hidden size.

    The name's words decide: ``hf-bert`` and ``bert`` are of the same type, and no type is empty. Both
    sizes are 0, for the optimizer to find out, where either is not one number for the whole model.
    """
    _, config = lookup(case.name, case.size)
    sizes = _number(config, _HEADS), _number(config, _WIDTH)
    return (family(case.name), *(sizes if all(sizes) else (0, 0)))


def family(name: str) -> str:
    """The type of model for an architecture's name; empty when onnxruntime has none."""
    words = re.split(r"[-_ ]", name.removeprefix("hf-"))
    for length in range(len(words), 0, -1):
        found = _TYPES.get(" ".join(words[:length]))
        if found:
            return found
    return ""


def _number(config: Mapping[str, object], keys: tuple[str, ...]) -> int:
    found = (config.get(key) for key in keys)
    return next((value for value in found if isinstance(value, int)), 0)
