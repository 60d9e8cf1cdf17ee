"""Exports kept between runs, keyed by what decides their content."""

from __future__ import annotations

import hashlib
import os
import tempfile
from importlib import metadata
from pathlib import Path

from models.build import build, choose_attention, lookup
from models.exporting import DEFAULT_OPSET, export_built
from models.spec import Attention, Exporter

_ROOT = Path(__file__).resolve().parent.parent
_ENVIRONMENT = "ONNXOPT_MODEL_CACHE"


def export(
    name: str,
    path: str | os.PathLike[str],
    *,
    size: str = "tiny",
    exporter: Exporter = "torchscript",
    dynamic: bool = True,
    opset: int | None = None,
    optimize: bool = True,
    attention: Attention | None = None,
) -> Path:
    """Build a reference model and export it to ``path``.

    See :func:`models.build` and :func:`models.export_built`.
    """
    built = build(name, size, attention=attention)
    return export_built(
        built, path, exporter=exporter, dynamic=dynamic, opset=opset, optimize=optimize
    )


def cached(
    name: str,
    *,
    size: str = "tiny",
    exporter: Exporter = "torchscript",
    dynamic: bool = True,
    opset: int | None = None,
    optimize: bool = True,
    attention: Attention | None = None,
) -> Path:
    """The export with these options, made on first use and kept.

    The file is shared: read it, never write to it. Files go to ``.cache/onnxopt-models`` in the
    project, or to the folder named by ``ONNXOPT_MODEL_CACHE``. A change to this package's source or
    to the exporters' versions makes a new file.

    Returns:
        Path of the ``.onnx`` file.
    """
    number = opset or DEFAULT_OPSET[exporter]
    chosen = choose_attention(lookup(name, size)[0], attention)
    form = f"{'dynamic' if dynamic else 'static'}{'' if optimize else '_raw'}"
    words = (name, size, *([chosen] if chosen else []), exporter, form, str(number))
    target = _folder() / f"{'_'.join(words)}.onnx"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    # Exported under another name and renamed, so that two processes never see half a file.
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        partial = export(
            name,
            Path(scratch) / target.name,
            size=size,
            exporter=exporter,
            dynamic=dynamic,
            opset=number,
            optimize=optimize,
            attention=chosen,
        )
        partial.replace(target)
    return target


def _folder() -> Path:
    root = Path(os.environ.get(_ENVIRONMENT) or _ROOT / ".cache" / "onnxopt-models")
    return root / _source_key()


def _source_key() -> str:
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    for package in ("torch", "onnxscript", "transformers"):
        digest.update(_version(package).encode())
    return digest.hexdigest()[:16]


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"
