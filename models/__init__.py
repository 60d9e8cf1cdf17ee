"""Reference models of onnxopt: real architectures, seeded weights, both of torch's exporters.

Run from the project's root; torch is needed only to build and export.
"""

from __future__ import annotations

from models.build import Built, build, sample_inputs
from models.cache import cached, export
from models.catalog import REFERENCES
from models.exporting import EXPORTERS, Exporter, export_built
from models.spec import SIZES

__all__ = [
    "EXPORTERS",
    "SIZES",
    "Built",
    "Exporter",
    "build",
    "cached",
    "export",
    "export_built",
    "names",
    "sample_inputs",
]


def names() -> tuple[str, ...]:
    """Names of all reference models."""
    return tuple(REFERENCES)
