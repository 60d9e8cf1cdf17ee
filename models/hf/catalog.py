"""The architectures of transformers as data: inputs, outputs and hyperparameters of every size."""

from __future__ import annotations

from models.hf.images import IMAGES
from models.hf.limits import FUSED_ATTENTION
from models.interfaces import decoder, encoder, spectrogram
from models.spec import ATTENTIONS, Config, Reference

_TEXT_SMALL: Config = {
    "layers": 4,
    "width": 256,
    "heads": 4,
    "inner": 1024,
    "vocab": 5000,
    "context": 128,
    "sequence": 32,
}
_TEXT_TINY: Config = {
    "layers": 2,
    "width": 32,
    "heads": 4,
    "inner": 64,
    "vocab": 99,
    "context": 40,
    "sequence": 12,
}
_TEXT_BASE: Config = {
    "layers": 12,
    "width": 768,
    "heads": 12,
    "inner": 3072,
    "vocab": 30522,
    "context": 512,
    "sequence": 128,
}

_ENCODERS = (
    encoder(
        "hf-bert",
        "BERT of transformers (full: BERT-base)",
        {"tiny": _TEXT_TINY, "small": _TEXT_SMALL, "full": _TEXT_BASE},
        segments=True,
        pooled=True,
        module="models.hf.bert",
        attentions=ATTENTIONS,
        limits=(FUSED_ATTENTION,),
    ),
    encoder(
        "hf-distilbert",
        "DistilBERT of transformers (full: DistilBERT-base)",
        {"tiny": _TEXT_TINY, "small": _TEXT_SMALL, "full": {**_TEXT_BASE, "layers": 6}},
        segments=False,
        pooled=False,
        module="models.hf.distilbert",
        attentions=ATTENTIONS,
        limits=(FUSED_ATTENTION,),
    ),
)

_DECODERS = (
    decoder(
        "hf-gpt2",
        "GPT-2 of transformers with its key/value cache (full: 124 M parameters)",
        {
            "tiny": {**_TEXT_TINY, "kv_heads": 4, "past": 5, "sequence": 3},
            "small": {**_TEXT_SMALL, "kv_heads": 4, "past": 16, "sequence": 4},
            "full": {
                **_TEXT_BASE,
                "kv_heads": 12,
                "vocab": 50257,
                "context": 1024,
                "past": 64,
                "sequence": 8,
            },
        },
        module="models.hf.gpt2",
        attentions=ATTENTIONS,
        limits=(FUSED_ATTENTION,),
    ),
    decoder(
        "hf-llama",
        "Llama of transformers with grouped heads and cache (full: 246 M parameters)",
        {
            "tiny": {**_TEXT_TINY, "kv_heads": 2, "inner": 48, "past": 5, "sequence": 3},
            "small": {**_TEXT_SMALL, "kv_heads": 2, "inner": 704, "past": 16, "sequence": 4},
            "full": {
                "layers": 16,
                "width": 1024,
                "heads": 16,
                "kv_heads": 4,
                "inner": 2816,
                "vocab": 32000,
                "context": 2048,
                "past": 64,
                "sequence": 8,
            },
        },
        module="models.hf.llama",
        attentions=ATTENTIONS,
        limits=(FUSED_ATTENTION,),
    ),
)

_SPEECH = (
    spectrogram(
        "hf-whisper",
        "Encoder of Whisper of transformers (full: Whisper-base)",
        {
            "tiny": {
                "layers": 2,
                "width": 32,
                "heads": 4,
                "inner": 64,
                "mels": 8,
                "context": 20,
            },
            "small": {
                "layers": 4,
                "width": 256,
                "heads": 4,
                "inner": 1024,
                "mels": 80,
                "context": 200,
            },
            "full": {
                "layers": 6,
                "width": 512,
                "heads": 8,
                "inner": 2048,
                "mels": 80,
                "context": 1500,
            },
        },
        module="models.hf.whisper",
        attentions=ATTENTIONS,
        limits=(FUSED_ATTENTION,),
    ),
)

TRANSFORMERS: dict[str, Reference] = {
    r.name: r for r in (*_ENCODERS, *_DECODERS, *IMAGES, *_SPEECH)
}
