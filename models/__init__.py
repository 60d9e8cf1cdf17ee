"""Reference models of onnxopt: real architectures, seeded weights, both of torch's exporters.

Run from the project's root; torch is needed only to build and export.
"""

from __future__ import annotations

from models.build import Built, build, lookup, sample_inputs
from models.cache import cached, export
from models.catalog import OWN, REFERENCES
from models.exporting import export_built
from models.hf.catalog import TRANSFORMERS
from models.spec import ATTENTIONS, EXPORTERS, SIZES, Attention, Exporter, Limit

__all__ = [
    "ATTENTIONS",
    "EXPORTERS",
    "SIZES",
    "Attention",
    "Built",
    "Exporter",
    "Limit",
    "attentions",
    "build",
    "cached",
    "export",
    "export_built",
    "limits",
    "names",
    "own_names",
    "sample_inputs",
    "transformers_names",
]


def names() -> tuple[str, ...]:
    """Names of all reference models."""
    return tuple(REFERENCES)


def own_names() -> tuple[str, ...]:
    """Names of the models whose code is in this package."""
    return tuple(OWN)


def transformers_names() -> tuple[str, ...]:
    """Names of the models that the package transformers computes; they begin with ``hf-``."""
    return tuple(TRANSFORMERS)


def attentions(name: str) -> tuple[Attention, ...]:
    """The implementations of attention that the model ``name`` can be built with.

    Returns:
        The default first; empty for a model that offers no choice.

    Raises:
        ValueError: There is no such model.
    """
    reference, _ = lookup(name, "tiny")
    return reference.attentions


def limits(name: str) -> tuple[Limit, ...]:
    """What exports of the model ``name`` cannot be, and why.

    Raises:
        ValueError: There is no such model.
    """
    reference, _ = lookup(name, "tiny")
    return reference.limits
