"""The reference models as data: inputs, outputs and hyperparameters of every size."""

from __future__ import annotations

from collections.abc import Mapping

from models.spec import Config, InputSpec, Reference, number


def _vision(
    name: str, summary: str, configs: Mapping[str, Config], *, output: str = "logits"
) -> Reference:
    """An image model: NCHW in, with a free batch, and free height and width if the config says."""

    def inputs(config: Config) -> tuple[InputSpec, ...]:
        side = number(config, "image")
        free = config.get("free_side")
        hw: tuple[int | str, ...] = ("height", "width") if free else (side, side)
        return (InputSpec("pixel_values", ("batch", 3, *hw)),)

    def dims(config: Config) -> dict[str, int]:
        side = number(config, "image")
        free = {"height": side, "width": side} if config.get("free_side") else {}
        return {"batch": 2, **free}

    return Reference(
        name, summary, configs, inputs, lambda _: (output,), dims, lambda _: {output: {0: "batch"}}
    )


def _encoder() -> Reference:
    def inputs(config: Config) -> tuple[InputSpec, ...]:
        shape = ("batch", "sequence")
        return (
            InputSpec("input_ids", shape, "ids", number(config, "vocab")),
            InputSpec("attention_mask", shape, "mask"),
            InputSpec("token_type_ids", shape, "segments", 2),
        )

    return Reference(
        "bert",
        "BERT-like encoder: token, position and type embeddings, padding mask, pooler",
        {
            "tiny": {
                "layers": 2,
                "width": 32,
                "heads": 4,
                "inner": 64,
                "vocab": 99,
                "context": 40,
                "sequence": 12,
            },
            "small": {
                "layers": 4,
                "width": 256,
                "heads": 4,
                "inner": 1024,
                "vocab": 5000,
                "context": 128,
                "sequence": 32,
            },
            "full": {
                "layers": 12,
                "width": 768,
                "heads": 12,
                "inner": 3072,
                "vocab": 30522,
                "context": 512,
                "sequence": 128,
            },
        },
        inputs,
        lambda _: ("last_hidden_state", "pooler_output"),
        lambda c: {"batch": 2, "sequence": number(c, "sequence")},
        lambda _: {
            "last_hidden_state": {0: "batch", 1: "sequence"},
            "pooler_output": {0: "batch"},
        },
    )


def _cache_names(config: Config, prefix: str) -> tuple[str, ...]:
    layers = range(number(config, "layers"))
    return tuple(f"{prefix}.{i}.{part}" for i in layers for part in ("key", "value"))


def _decoder(name: str, summary: str, configs: Mapping[str, Config]) -> Reference:
    """A decoder with its key/value cache as inputs and outputs."""

    def inputs(config: Config) -> tuple[InputSpec, ...]:
        heads = number(config, "kv_heads")
        head_dim = number(config, "width") // number(config, "heads")
        shape = ("batch", "sequence")
        return (
            InputSpec("input_ids", shape, "ids", number(config, "vocab")),
            InputSpec("attention_mask", ("batch", "past + sequence"), "mask"),
            InputSpec("position_ids", shape, "positions"),
            *(
                InputSpec(cached, ("batch", heads, "past", head_dim))
                for cached in _cache_names(config, "past_key_values")
            ),
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
    )


def _recurrent() -> Reference:
    return Reference(
        "lstm",
        "Embedding, bidirectional LSTM, tagging head",
        {
            "tiny": {
                "layers": 1,
                "embed": 16,
                "width": 24,
                "vocab": 50,
                "labels": 5,
                "sequence": 7,
            },
            "small": {
                "layers": 2,
                "embed": 100,
                "width": 128,
                "vocab": 5000,
                "labels": 20,
                "sequence": 32,
            },
            "full": {
                "layers": 2,
                "embed": 512,
                "width": 1024,
                "vocab": 30000,
                "labels": 50,
                "sequence": 64,
            },
        },
        lambda c: (InputSpec("input_ids", ("batch", "sequence"), "ids", number(c, "vocab")),),
        lambda _: ("logits",),
        lambda c: {"batch": 2, "sequence": number(c, "sequence")},
        lambda _: {"logits": {0: "batch", 1: "sequence"}},
        specialised=("sequence",),  # torch.export unrolls the time steps
    )


_CNNS = (
    _vision(
        "resnet",
        "Residual network with BatchNormalization (18- and 50-layer styles)",
        {
            "tiny": {
                "block": "basic",
                "depths": (1, 1),
                "width": 8,
                "classes": 10,
                "image": 32,
                "free_side": 1,
            },
            "small": {
                "block": "basic",
                "depths": (2, 2, 2, 2),
                "width": 64,
                "classes": 1000,
                "image": 224,
                "free_side": 1,
            },
            "full": {
                "block": "bottleneck",
                "depths": (3, 4, 6, 3),
                "width": 64,
                "classes": 1000,
                "image": 224,
                "free_side": 1,
            },
        },
    ),
    _vision(
        "mobilenet_v2",
        "Inverted residuals with depthwise convolutions and ReLU6",
        {
            "tiny": {"stages": 2, "percent": 25, "classes": 10, "image": 32},
            "small": {"stages": 7, "percent": 35, "classes": 1000, "image": 96},
            "full": {"stages": 7, "percent": 100, "classes": 1000, "image": 224},
        },
    ),
    _vision(
        "inception",
        "Parallel branches (1x1, factorised 3x3 and 5x5, pooling) joined by Concat",
        {
            "tiny": {"blocks": (1, 1), "width": 8, "classes": 10, "image": 32},
            "small": {"blocks": (2, 2), "width": 32, "classes": 100, "image": 96},
            "full": {"blocks": (3, 5, 3), "width": 96, "classes": 1000, "image": 224},
        },
    ),
    _vision(
        "unet",
        "Encoder and decoder with skip connections and ConvTranspose",
        {
            "tiny": {"depth": 2, "width": 8, "classes": 3, "image": 32},
            "small": {"depth": 3, "width": 16, "classes": 5, "image": 96},
            "full": {"depth": 4, "width": 64, "classes": 19, "image": 256},
        },
        output="masks",
    ),
)

_VISION_TRANSFORMERS = (
    _vision(
        "vit",
        "Vision transformer: patches, class token, pre-norm blocks",
        {
            "tiny": {"layers": 2, "width": 32, "heads": 4, "patch": 8, "classes": 10, "image": 32},
            "small": {
                "layers": 6,
                "width": 192,
                "heads": 3,
                "patch": 16,
                "classes": 100,
                "image": 96,
            },
            "full": {
                "layers": 12,
                "width": 768,
                "heads": 12,
                "patch": 16,
                "classes": 1000,
                "image": 224,
            },
        },
    ),
    _vision(
        "swin",
        "Windowed attention: shifted windows with masks, relative position bias, patch merging",
        {
            "tiny": {
                "depths": (2, 1),
                "heads": (2, 4),
                "width": 16,
                "window": 4,
                "classes": 10,
                "image": 32,
            },
            "small": {
                "depths": (2, 2, 2),
                "heads": (2, 4, 8),
                "width": 32,
                "window": 4,
                "classes": 100,
                "image": 64,
            },
            "full": {
                "depths": (2, 2, 6, 2),
                "heads": (3, 6, 12, 24),
                "width": 96,
                "window": 7,
                "classes": 1000,
                "image": 224,
            },
        },
    ),
)

_DECODERS = (
    _decoder(
        "gpt",
        "GPT-2-like decoder: learned positions, tied embeddings, key/value cache",
        {
            "tiny": {
                "layers": 2,
                "width": 32,
                "heads": 4,
                "kv_heads": 4,
                "vocab": 99,
                "context": 40,
                "past": 5,
                "sequence": 3,
            },
            "small": {
                "layers": 4,
                "width": 256,
                "heads": 4,
                "kv_heads": 4,
                "vocab": 5000,
                "context": 256,
                "past": 16,
                "sequence": 4,
            },
            "full": {
                "layers": 12,
                "width": 768,
                "heads": 12,
                "kv_heads": 12,
                "vocab": 50257,
                "context": 1024,
                "past": 64,
                "sequence": 8,
            },
        },
    ),
    _decoder(
        "llama",
        "Llama-like decoder: RMSNorm, rotary positions, grouped heads, SwiGLU, key/value cache",
        {
            "tiny": {
                "layers": 2,
                "width": 32,
                "heads": 4,
                "kv_heads": 2,
                "inner": 48,
                "vocab": 99,
                "past": 5,
                "sequence": 3,
            },
            "small": {
                "layers": 4,
                "width": 256,
                "heads": 8,
                "kv_heads": 2,
                "inner": 704,
                "vocab": 5000,
                "past": 16,
                "sequence": 4,
            },
            "full": {
                "layers": 16,
                "width": 1024,
                "heads": 16,
                "kv_heads": 4,
                "inner": 2816,
                "vocab": 32000,
                "past": 64,
                "sequence": 8,
            },
        },
    ),
)

REFERENCES: dict[str, Reference] = {
    r.name: r for r in (*_CNNS, *_VISION_TRANSFORMERS, _encoder(), *_DECODERS, _recurrent())
}
