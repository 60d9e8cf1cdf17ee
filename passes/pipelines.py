"""The named pipelines, as text. The levels of the command line are pipelines of the same names."""

from __future__ import annotations

_PREPARE = "freeze-legacy-inputs, lift-constants"
_CLEAN = "remove-dead-nodes, prune-initializers, deduplicate-initializers"

PIPELINES = {
    "O0": "",
    "O1": (
        f"{_PREPARE}, {_CLEAN}, "
        "(share-shape-arithmetic, fold-constants, fold, simplify{exact-only=true}, "
        "eliminate-common-subexpressions, remove-dead-nodes)*, "
        f"{_CLEAN}"
    ),
    "O2": (
        f"{_PREPARE}, {_CLEAN}, "
        "(share-shape-arithmetic, fold-constants, fold, simplify, fuse, "
        "eliminate-common-subexpressions, remove-dead-nodes)*, "
        f"{_CLEAN}"
    ),
    "O3": "O2",
}
