"""The reference models as data: inputs, outputs and hyperparameters of every size."""

from __future__ import annotations

from models.hf.catalog import TRANSFORMERS
from models.interfaces import decoder, encoder, vision
from models.spec import InputSpec, Reference, number


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
    vision(
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
    vision(
        "mobilenet_v2",
        "Inverted residuals with depthwise convolutions and ReLU6",
        {
            "tiny": {"stages": 2, "percent": 25, "classes": 10, "image": 32},
            "small": {"stages": 7, "percent": 35, "classes": 1000, "image": 96},
            "full": {"stages": 7, "percent": 100, "classes": 1000, "image": 224},
        },
    ),
    vision(
        "inception",
        "Parallel branches (1x1, factorised 3x3 and 5x5, pooling) joined by Concat",
        {
            "tiny": {"blocks": (1, 1), "width": 8, "classes": 10, "image": 32},
            "small": {"blocks": (2, 2), "width": 32, "classes": 100, "image": 96},
            "full": {"blocks": (3, 5, 3), "width": 96, "classes": 1000, "image": 224},
        },
    ),
    vision(
        "unet",
        "Encoder and decoder with skip connections and ConvTranspose",
        {
            "tiny": {"depth": 2, "width": 8, "classes": 3, "image": 32},
            "small": {"depth": 3, "width": 16, "classes": 5, "image": 96},
            "full": {"depth": 4, "width": 64, "classes": 19, "image": 256},
        },
        outputs=("masks",),
    ),
)

_VISION_TRANSFORMERS = (
    vision(
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
    vision(
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
    decoder(
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
    decoder(
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

_ENCODER = encoder(
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
    segments=True,
    pooled=True,
)

OWN: dict[str, Reference] = {
    r.name: r for r in (*_CNNS, *_VISION_TRANSFORMERS, _ENCODER, *_DECODERS, _recurrent())
}
REFERENCES: dict[str, Reference] = OWN | TRANSFORMERS
