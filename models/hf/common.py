"""Around a model of transformers: tensors in by position and out as a tuple, as exporters take them."""

from __future__ import annotations

import re
from typing import Any, TypeVar

from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedConfig

from models.spec import Attention

C = TypeVar("C", bound=PreTrainedConfig)


class Flat(nn.Module):
    """A model whose inputs come by position and whose outputs leave as a tuple.

    Args:
        model: A model of transformers.
        inputs: Names of its arguments, in the order they are given.
        outputs: Fields of its result, in the order they are returned.
    """

    def __init__(self, model: nn.Module, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
        super().__init__()
        self.model = model
        self.inputs = inputs
        self.outputs = outputs

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        found = self.model(**dict(zip(self.inputs, tensors, strict=True)))
        return tuple(found[name] for name in self.outputs)


class Decoder(nn.Module):
    """A causal language model whose cache comes and goes as plain tensors.

    Args:
        model: A causal language model of transformers.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor, *past: Tensor
    ) -> tuple[Tensor, ...]:
        cache = filled_cache(self.model.config, past)
        layers: Any = cache.layers
        found = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            cache=cache,
            use_cache=True,
        )
        return found.logits, *(t for layer in layers for t in (layer.keys, layer.values))


class Continuation(nn.Module):
    """A causal language model that is given new tokens and its cache alone, so that it counts positions and masks itself.

    Args:
        model: A causal language model of transformers.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        cache = filled_cache(self.model.config, past)
        layers: Any = cache.layers
        found = self.model(input_ids=input_ids, cache=cache, use_cache=True)
        return found.logits, *(t for layer in layers for t in (layer.keys, layer.values))


def configured(kind: type[C], attention: Attention | None, **fields: Any) -> C:
    """A configuration of transformers with an implementation of attention.

    Args:
        kind: Its class.
        attention: The implementation; None for architectures without attention.
        fields: The hyperparameters, named as that class names them.
    """
    fields["attn_implementation"] = attention
    return kind(**fields)


def filled_cache(config: Any, past: tuple[Tensor, ...]) -> DynamicCache:
    """A cache that holds ``past``: keys and values of each layer in turn.

    The tensors are put in place: filling it through ``update`` would append them to an empty
    tensor of another rank, which becomes a Concat that ONNX does not allow.
    """
    cache = DynamicCache(config=config)
    layers: Any = cache.layers
    for layer, keys, values in zip(layers, past[::2], past[1::2], strict=True):
        layer.lazy_initialization(keys, values)
        layer.keys, layer.values = keys, values
    return cache


def damp(model: nn.Module, last: str, gain: float = 0.5) -> None:
    """Give the layers that end residual branches smaller weights, so that activations of
    random networks don't grow with depth.

    Args:
        model: The network; its weights are set later, by :func:`models.weights.fill`.
        last: A regular expression that the end of such a layer's name matches.
        gain: Typical magnitude relative to other layers.
    """
    found = [part for name, part in model.named_modules() if re.search(rf"(^|\.)({last})$", name)]
    if not found:
        raise ValueError(f"no layer is called {last!r}")
    for part in found:
        part.gain = gain
