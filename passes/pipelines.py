"""The named pipelines, as text. The levels of the command line are pipelines of the same names."""

from __future__ import annotations

# Shape arithmetic goes before constants are lifted: most constants of an export serve it alone.
_PREPARE = (
    "freeze-legacy-inputs, inline-functions, share-shape-arithmetic, fold, remove-dead-nodes, "
    "lift-constants"
)
_CLEAN = "remove-dead-nodes, prune-initializers, deduplicate-initializers"
# Equal dims are shared before anything is made constant, so that later passes see one chain, not many.
_FOLD = (
    "share-shape-arithmetic, fold-constants, fold, decide-branches, inline-branches, unroll-loops"
)
_TIDY = "eliminate-common-subexpressions, remove-dead-nodes"
# A convolution that was moved may be multiplied into a product; what is turned around there comes after.
_ORDER = "move-conv-before-resize, merge-conv-into-matmul, reorder"
# Large patterns come last: all that they are made of is in its simplest form then.
_JOIN = f"fuse-group-query-attention, attention, deduplicate-initializers, {_TIDY}"
# What fusing patterns would no longer know.
_LATE = "merge-parallel-slices"

PIPELINES = {
    "O0": "",
    "O1": f"{_PREPARE}, {_CLEAN}, ({_FOLD}, simplify{{exact-only=true}}, {_TIDY})*, {_LATE}, {_CLEAN}",
    "O2": f"{_PREPARE}, {_CLEAN}, ({_FOLD}, simplify, fuse, {_ORDER}, fuse-unrolled-lstm, fuse-unrolled-gru, merge-projections, {_TIDY})*, {_JOIN}, {_LATE}, {_CLEAN}",
    # Only where the target has the operator, and where it is measured faster.
    "O3": "O2, pack-attention, prune-initializers",
}
