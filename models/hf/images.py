"""The image models of transformers as data."""

from __future__ import annotations

from models.hf.limits import COMPUTED_PADDING, CUBIC_RESIZING, EXACT_RESIZING, FUSED_ATTENTION
from models.interfaces import vision
from models.spec import ATTENTIONS, Config, Reference

_PATCHES_TINY: Config = {
    "layers": 2,
    "width": 32,
    "heads": 4,
    "inner": 64,
    "patch": 8,
    "classes": 10,
    "image": 32,
}
_PATCHES_SMALL: Config = {
    "layers": 6,
    "width": 192,
    "heads": 3,
    "inner": 768,
    "patch": 16,
    "classes": 100,
    "image": 96,
}

IMAGES: tuple[Reference, ...] = (
    vision(
        "hf-vit",
        "Vision transformer of transformers (full: ViT-B/16)",
        {
            "tiny": _PATCHES_TINY,
            "small": _PATCHES_SMALL,
            "full": {
                "layers": 12,
                "width": 768,
                "heads": 12,
                "inner": 3072,
                "patch": 16,
                "classes": 1000,
                "image": 224,
            },
        },
        module="models.hf.vit",
        attentions=ATTENTIONS,
        limits=(FUSED_ATTENTION,),
    ),
    vision(
        "hf-swin",
        "Shifted windows of transformers (full: Swin-T)",
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
        module="models.hf.swin",
        attentions=ATTENTIONS,
        limits=(COMPUTED_PADDING, FUSED_ATTENTION),
    ),
    vision(
        "hf-segformer",
        "Segmentation with reduced keys and values of transformers (full: SegFormer-B0)",
        {
            "tiny": {
                "depths": (2, 1),
                "widths": (16, 32),
                "heads": (2, 4),
                "reductions": (2, 1),
                "inner": 32,
                "classes": 5,
                "image": 32,
                "free_side": 1,
            },
            "small": {
                "depths": (2, 1, 1),
                "widths": (32, 64, 128),
                "heads": (1, 2, 4),
                "reductions": (4, 2, 1),
                "inner": 128,
                "classes": 20,
                "image": 128,
                "free_side": 1,
            },
            "full": {
                "depths": (2, 2, 2, 2),
                "widths": (32, 64, 160, 256),
                "heads": (1, 2, 5, 8),
                "reductions": (8, 4, 2, 1),
                "inner": 256,
                "classes": 150,
                "image": 512,
                "free_side": 1,
            },
        },
        output_axes={2: "logits_height", 3: "logits_width"},
        module="models.hf.segformer",
        attentions=ATTENTIONS,
        limits=(EXACT_RESIZING, FUSED_ATTENTION),
    ),
    vision(
        "hf-convnext",
        "Convolutions in the manner of transformers, of transformers (full: ConvNeXt-T)",
        {
            "tiny": {
                "depths": (2, 1),
                "widths": (16, 32),
                "classes": 10,
                "image": 32,
                "free_side": 1,
            },
            "small": {
                "depths": (2, 2, 2),
                "widths": (32, 64, 128),
                "classes": 100,
                "image": 96,
                "free_side": 1,
            },
            "full": {
                "depths": (3, 3, 9, 3),
                "widths": (96, 192, 384, 768),
                "classes": 1000,
                "image": 224,
                "free_side": 1,
            },
        },
        module="models.hf.convnext",
    ),
    vision(
        "hf-yolos",
        "Detection with tokens of transformers (full: YOLOS-tiny)",
        {
            "tiny": {
                **_PATCHES_TINY,
                "positions": (32, 48),
                "image": (32, 48),
                "tokens": 5,
                "mid_positions": 1,
                "free_side": 1,
            },
            "small": {
                **_PATCHES_SMALL,
                "positions": (128, 192),
                "image": (128, 160),
                "tokens": 20,
                "mid_positions": 1,
                "free_side": 1,
            },
            "full": {
                "layers": 12,
                "width": 192,
                "heads": 3,
                "inner": 768,
                "patch": 16,
                "classes": 91,
                "positions": (800, 1333),
                "image": (512, 864),
                "tokens": 100,
                "mid_positions": 0,
                "free_side": 1,
            },
        },
        outputs=("logits", "pred_boxes"),
        module="models.hf.yolos",
        attentions=ATTENTIONS,
        limits=(CUBIC_RESIZING, FUSED_ATTENTION),
    ),
)
