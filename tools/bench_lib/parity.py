"""Child process: does an optimised model compute what the original computes?

``reference PROVIDER CASE MODEL OUT.npz`` runs the original with graph optimisations off on signed inputs,
twice where dims are free (the example's dims, and others), and stores inputs and outputs. ``compare PROVIDER
REFERENCE.npz MODEL OUT.json`` runs an optimised model as users do, with onnxruntime's default options.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

import models
from bench_lib.cases import Case, from_argument
from bench_lib.sessions import open_session
from models.build import lookup
from models.spec import Array

RTOL = 1e-3  # of the largest magnitude in the output: float32, tens of layers, random weights
_NOT_ENOUGH = -1.0


def sample_dims(case: Case) -> list[dict[str, int]]:
    """Sizes of the free dims for each sample: those of the example inputs, then others."""
    reference, config = lookup(case.name, case.size)
    example = reference.dims(config)
    fixed = reference.specialised if case.exporter == "dynamo" else ()
    others = {"batch": 1, "sequence": 5, "past": 7}
    varied = {
        dim: size if dim in fixed else others.get(dim, size + 32) for dim, size in example.items()
    }
    return [example, varied]


def make_reference(case: Case, model: Path, target: Path, provider: str = "cpu") -> None:
    """Store inputs and the original's outputs for each sample."""
    stored: dict[str, Array] = {}
    session = open_session(model, provider, optimise=False)
    for index, dims in enumerate(sample_dims(case)):
        inputs = models.sample_inputs(case.name, case.size, seed=10 + index, dims=dims)
        names = [o.name for o in session.get_outputs()]
        outputs = dict(zip(names, session.run(None, inputs), strict=True))
        stored.update({f"{index}/in/{name}": value for name, value in inputs.items()})
        stored.update({f"{index}/out/{name}": value for name, value in outputs.items()})
    np.savez(target, **stored)  # type: ignore[arg-type]


def compare(reference: Path, model: Path, provider: str = "cpu") -> dict[str, object]:
    """The largest error over samples and outputs, relative to the output's largest magnitude."""
    session = open_session(model, provider)
    worst = 0.0
    with np.load(reference) as stored:
        for index in sorted({key.split("/", 1)[0] for key in stored.files}):
            inputs = _part(stored, f"{index}/in/")
            expected = _part(stored, f"{index}/out/")
            names = [o.name for o in session.get_outputs()]
            if names != list(expected):
                return {
                    "ok": False,
                    "error": _NOT_ENOUGH,
                    "detail": "outputs differ in name or order",
                }
            for name, got in zip(names, session.run(None, inputs), strict=True):
                if got.shape != expected[name].shape:
                    detail = f"{name} is {list(got.shape)}, not {list(expected[name].shape)}"
                    return {"ok": False, "error": _NOT_ENOUGH, "detail": detail}
                worst = max(worst, relative_error(got, expected[name]))
    return {"ok": worst <= RTOL, "error": worst, "detail": ""}


def _part(stored: np.lib.npyio.NpzFile, prefix: str) -> dict[str, Array]:
    return {key[len(prefix) :]: stored[key] for key in stored.files if key.startswith(prefix)}


def relative_error(got: Array, expected: Array) -> float:
    """Largest difference over largest magnitude; infinite when ``got`` is not finite."""
    one, two = got.astype(np.float64), expected.astype(np.float64)
    if not np.isfinite(one).all():
        return float("inf")
    return float(np.abs(one - two).max() / max(np.abs(two).max(), 1e-30))


def main() -> None:
    """Entry point."""
    step, provider, *rest = sys.argv[1:]
    if step == "reference":
        make_reference(from_argument(rest[0]), Path(rest[1]), Path(rest[2]), provider)
    else:
        found = compare(Path(rest[0]), Path(rest[1]), provider)
        Path(rest[2]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
