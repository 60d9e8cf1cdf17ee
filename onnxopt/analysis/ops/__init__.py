"""Inference functions of the operators, by family. Importing this package registers them all."""

from __future__ import annotations
