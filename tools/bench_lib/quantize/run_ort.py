"""Child process: quantises a model with onnxruntime, as its documentation says to.

``SETTING SOURCE TARGET SAMPLES``. The model is pre-processed first. At the defaults a failure ends it; for the other settings
less is asked of the pre-processing then, down to nothing, as someone who wants the result would do. What was left out is
the last line printed.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import onnx.version_converter
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from bench_lib.quantize.samples import Sample, read

NOTE = "note: "
_BY_CHANNEL = 13
_LESS: tuple[tuple[str, dict[str, bool]], ...] = (
    ("", {}),
    ("symbolic shapes", {"skip_symbolic_shape": True}),
    ("shapes", {"skip_symbolic_shape": True, "skip_onnx_shape": True}),
)
_METHODS = {
    "ort u8s8 minmax": CalibrationMethod.MinMax,
    "ort u8s8 entropy": CalibrationMethod.Entropy,
    "ort u8s8 percentile": CalibrationMethod.Percentile,
}


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """Gives samples from files."""

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self._samples: Iterator[Sample] = read(folder, limit)

    def get_next(self) -> Sample | None:
        """The next sample, None after the last."""
        return next(self._samples, None)


def prepared(source: Path, folder: Path, *, strict: bool) -> tuple[Path, str]:
    """A model that onnxruntime has pre-processed.

    Args:
        source: The model.
        folder: Where to write.
        strict: Whether a failure is one.

    Returns:
        The file, and what had to be left out, in words.
    """
    path, first = folder / "prepared.onnx", ""
    for left_out, options in _LESS:
        try:
            quant_pre_process(str(source), str(path), **options)
        except Exception as error:
            if strict:
                raise
            first = first or last_line(error)
        else:
            return path, f"pre-processed without {left_out}: {first}" if left_out else ""
    return source, f"not pre-processed: {first}"


def quantise(setting: str, source: Path, target: Path, samples: Path) -> str:
    """Write the quantised model; what had to be left out, in words."""
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        path, note = prepared(source, Path(name), strict=setting == "ort default")
        if setting.startswith("ort dynamic"):
            quantize_dynamic(path, target, per_channel=setting.endswith("channel"))
            return note
        options: dict[str, Any] = {}
        if setting in _METHODS:
            path, raised = recent(path, Path(name))
            note = "; ".join(part for part in (note, raised) if part)
            options = {
                "per_channel": True,
                "reduce_range": False,
                "activation_type": QuantType.QUInt8,
                "weight_type": QuantType.QInt8,
                "calibrate_method": _METHODS[setting],
            }
        quantize_static(str(path), str(target), Reader(samples), **options)
    return note


def recent(source: Path, folder: Path) -> tuple[Path, str]:
    """A model of an opset that has scales by channel, which begin with 13; and what was done, in words."""
    model = onnx.load(source)
    version = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    if version >= _BY_CHANNEL:
        return source, ""
    path = folder / "recent.onnx"
    onnx.save(onnx.version_converter.convert_version(model, _BY_CHANNEL), path)
    return path, f"opset raised from {version} to {_BY_CHANNEL}"


def last_line(error: BaseException) -> str:
    """An error as one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:200]


def main() -> None:
    """Entry point."""
    setting, *paths = sys.argv[1:]
    source, target, samples = map(Path, paths)
    try:
        note = quantise(setting, source, target, samples)
    except Exception as error:
        shutil.rmtree(target, ignore_errors=True)
        sys.exit(last_line(error))
    print(f"{NOTE}{note}")


if __name__ == "__main__":
    main()
