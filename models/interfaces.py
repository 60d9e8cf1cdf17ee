"""What models of one kind take and give, whichever architecture: images, texts, decoders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.spec import Config, InputSpec, Reference, height_and_width, number


def vision(
    name: str,
    summary: str,
    configs: Mapping[str, Config],
    *,
    outputs: tuple[str, ...] = ("logits",),
    output_axes: Mapping[int, str] | None = None,
    **more: Any,
) -> Reference:
    """An image model: NCHW in, with a free batch, and free height and width if the config says.

    Args:
        name: Name of the reference.
        summary: One line for listings.
        configs: Hyperparameters of each size, among them ``image``, the side of a square image or
            height and width.
        outputs: Names of the outputs; the first dim of each is the batch.
        output_axes: Other symbolic dims of each output where height and width are free.
        more: Other fields of :class:`models.spec.Reference`.
    """

    def axes(config: Config) -> dict[str, dict[int, str]]:
        more_axes = dict(output_axes or {}) if config.get("free_side") else {}
        return {output: {0: "batch", **more_axes} for output in outputs}

    return Reference(
        name,
        summary,
        configs,
        _image_inputs,
        lambda _: outputs,
        _image_dims,
        axes,
        **more,
    )


def _image_inputs(config: Config) -> tuple[InputSpec, ...]:
    free = config.get("free_side")
    hw: tuple[int | str, ...] = ("height", "width") if free else height_and_width(config)
    return (InputSpec("pixel_values", ("batch", 3, *hw)),)


def _image_dims(config: Config) -> dict[str, int]:
    free = ("height", "width") if config.get("free_side") else ()
    return {"batch": 2, **dict(zip(free, height_and_width(config), strict=False))}


def spectrogram(name: str, summary: str, configs: Mapping[str, Config], **more: Any) -> Reference:
    """A speech encoder: a spectrogram of fixed length in, a vector for every second frame out.

    Args:
        name: Name of the reference.
        summary: One line for listings.
        configs: Hyperparameters of each size, among them ``mels``, how many bands a frame has, and
            ``context``, how many vectors come out; twice as many frames go in.
        more: Other fields of :class:`models.spec.Reference`.
    """

    def inputs(config: Config) -> tuple[InputSpec, ...]:
        frames = 2 * number(config, "context")
        return (InputSpec("input_features", ("batch", number(config, "mels"), frames)),)

    return Reference(
        name,
        summary,
        configs,
        inputs,
        lambda _: ("last_hidden_state",),
        lambda _: {"batch": 2},
        lambda _: {"last_hidden_state": {0: "batch"}},
        **more,
    )


def encoder(
    name: str,
    summary: str,
    configs: Mapping[str, Config],
    *,
    segments: bool,
    pooled: bool,
    **more: Any,
) -> Reference:
    """A text encoder with a padding mask, ``[batch, sequence]`` in and a vector a token out.

    Args:
        name: Name of the reference.
        summary: One line for listings.
        configs: Hyperparameters of each size, among them ``vocab`` and ``sequence``.
        segments: Whether token types are an input.
        pooled: Whether a vector for the whole text is an output.
        more: Other fields of :class:`models.spec.Reference`.
    """
    shape = ("batch", "sequence")
    axes = {"last_hidden_state": {0: "batch", 1: "sequence"}}
    if pooled:
        axes["pooler_output"] = {0: "batch"}

    def inputs(config: Config) -> tuple[InputSpec, ...]:
        return (
            InputSpec("input_ids", shape, "ids", number(config, "vocab")),
            InputSpec("attention_mask", shape, "mask"),
            *([InputSpec("token_type_ids", shape, "segments", 2)] if segments else []),
        )

    return Reference(
        name,
        summary,
        configs,
        inputs,
        lambda _: tuple(axes),
        lambda c: {"batch": 2, "sequence": number(c, "sequence")},
        lambda _: axes,
        **more,
    )


def decoder(name: str, summary: str, configs: Mapping[str, Config], **more: Any) -> Reference:
    """A decoder with its key/value cache as inputs and outputs.

    Args:
        name: Name of the reference.
        summary: One line for listings.
        configs: Hyperparameters of each size, among them ``layers``, ``width``, ``heads``,
            ``kv_heads``, ``vocab``, ``past`` and ``sequence``.
        more: Other fields of :class:`models.spec.Reference`.
    """

    def inputs(config: Config) -> tuple[InputSpec, ...]:
        shape = ("batch", "sequence")
        return (
            InputSpec("input_ids", shape, "ids", number(config, "vocab")),
            InputSpec("attention_mask", ("batch", "past + sequence"), "mask"),
            InputSpec("position_ids", shape, "positions"),
            *_cache_inputs(config),
        )

    def output_axes(config: Config) -> dict[str, dict[int, str]]:
        cache = {0: "batch", 2: "past + sequence"}
        return {
            "logits": {0: "batch", 1: "sequence"},
            **{present: dict(cache) for present in _cache_names(config, "present")},
        }

    return Reference(
        name,
        summary,
        configs,
        inputs,
        lambda c: ("logits", *_cache_names(c, "present")),
        lambda c: {"batch": 2, "past": number(c, "past"), "sequence": number(c, "sequence")},
        output_axes,
        **more,
    )


def _cache_inputs(config: Config) -> tuple[InputSpec, ...]:
    head_dim = number(config, "width") // number(config, "heads")
    shape = ("batch", number(config, "kv_heads"), "past", head_dim)
    return tuple(InputSpec(name, shape) for name in _cache_names(config, "past_key_values"))


def _cache_names(config: Config, prefix: str) -> tuple[str, ...]:
    layers = range(number(config, "layers"))
    return tuple(f"{prefix}.{i}.{part}" for i in layers for part in ("key", "value"))
