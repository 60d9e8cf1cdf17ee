"""What torch's exporters cannot write of transformers' models, and why."""

from __future__ import annotations

from models.spec import Limit

FUSED_ATTENTION = Limit(
    "torchscript",
    14,
    "torch has no translation of scaled_dot_product_attention below; eager attention has one",
    attention="sdpa",
)
COMPUTED_PADDING = Limit("torchscript", 11, "Pad takes sizes that are computed from there on")
CUBIC_RESIZING = Limit("torchscript", 11, "Resize knows cubic interpolation from there on")
EXACT_RESIZING = Limit(
    "torchscript", 11, "what resized before reads other places than torch, and the results differ"
)
