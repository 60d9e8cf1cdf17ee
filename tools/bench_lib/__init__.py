"""Parts of ``tools/bench.py``.

The benchmark's own process stays small, because on Linux a child's peak memory starts at its
parent's: everything that needs onnx, onnxruntime or torch runs in a child of its own.
"""

import sys
from pathlib import Path

_ROOT = str(Path(__file__).resolve().parents[2])
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)  # for the package of reference models, which is not installed
