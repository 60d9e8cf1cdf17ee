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


def description(case: Case) -> tuple[str, str, str]:
    """Type of model, number of heads and hidden size; no type and 0 for what is not known.

    The name's words decide: ``hf-bert`` and ``bert`` are of the same type.
    """
    _, config = lookup(case.name, case.size)
    return family(case.name), _number(config, _HEADS), _number(config, _WIDTH)


def family(name: str) -> str:
    """The type of model for an architecture's name; empty when onnxruntime has none."""
    words = re.split(r"[-_ ]", name.removeprefix("hf-"))
    for length in range(len(words), 0, -1):
        found = _TYPES.get(" ".join(words[:length]))
        if found:
            return found
    return ""


def _number(config: Mapping[str, object], keys: tuple[str, ...]) -> str:
    found = (config.get(key) for key in keys)
    return str(next((value for value in found if isinstance(value, int)), 0))
