"""Facts about a graph: shapes and symbolic dimensions, constants, operator categories, cost."""

from __future__ import annotations
