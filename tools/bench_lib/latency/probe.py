"""Child process: can onnxruntime run here on a provider? Writes which one and on what, as one line."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import onnx

from bench_lib.sessions import PROVIDERS, open_session

_IDENTITY = """
<ir_version: 8, opset_import: ["": 17]>
agraph (float[1] x) => (float[1] y) { y = Identity (x) }
"""


def main() -> None:
    """Entry point: ``PROVIDER ANSWER.txt``; ends with one line of reason if it cannot."""
    try:
        import onnxruntime
    except ImportError as error:
        sys.exit(f"onnxruntime cannot be imported: {error}")
    provider, answer = sys.argv[1], Path(sys.argv[2])
    name, version = PROVIDERS[provider], onnxruntime.__version__
    offered = onnxruntime.get_available_providers()
    if name not in offered:
        sys.exit(f"onnxruntime {version} here offers no {name}, only {', '.join(offered)}")
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "identity.onnx"
        onnx.save(onnx.parser.parse_model(_IDENTITY), model)
        try:
            open_session(model, provider)
        except RuntimeError as error:
            sys.exit(str(error))
    answer.write_text(f"onnxruntime {version}, {name}{_device(provider)}")


def _device(provider: str) -> str:
    """The GPU's name, where the driver's tool tells it."""
    tool = shutil.which("nvidia-smi")
    if provider != "cuda" or tool is None:
        return ""
    command = [tool, "--query-gpu=name", "--format=csv,noheader"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split("\n")
    return f" on {found[0].strip()}" if found[0].strip() else ""


if __name__ == "__main__":
    main()
