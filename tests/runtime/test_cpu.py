"""What processors get of 8-bit weights, by their features."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from onnxopt.runtime import cpu
from onnxopt.runtime.cpu import weight_bits, why_fewer
from onnxopt.runtime.providers import CPU

HASWELL = "fpu sse4_2 fma avx avx2 bmi2"
SKYLAKE = f"{HASWELL} avx512f avx512bw avx512vl"


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    """Features are read once in a process: not these."""
    cpu._flags.cache_clear()
    yield
    cpu._flags.cache_clear()


def processor(
    monkeypatch: pytest.MonkeyPatch, folder: Path, machine: str, text: str | None
) -> None:
    """Has the module find another processor: what Linux tells of it, None where there is no such file."""
    path = folder / "cpuinfo"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(cpu, "Path", lambda _: path)
    monkeypatch.setattr("platform.machine", lambda: machine)


def listed(flags: str) -> str:
    return f"processor\t: 0\nvendor_id\t: any\nflags\t\t: {flags}\nbugs\t\t: \n\nprocessor\t: 1\n"


@pytest.mark.parametrize(
    ("flags", "bits"),
    [
        ("fpu sse2 ssse3", 7),
        (HASWELL, 7),
        (SKYLAKE, 7),
        (f"{SKYLAKE} avx512_vnni", 8),
        (f"{HASWELL} avx_vnni", 8),
        (f"{SKYLAKE} amx_bf16 amx_int8", 8),
        (f"{SKYLAKE} avx512_vnni_like avx512_bf16", 7),
    ],
)
@pytest.mark.parametrize("machine", ["x86_64", "AMD64"])
def test_x86(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, machine: str, flags: str, bits: int
) -> None:
    processor(monkeypatch, tmp_path, machine, listed(flags))
    assert weight_bits(CPU) == bits


def test_other_architectures_multiply_without_saturation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    processor(monkeypatch, tmp_path, "aarch64", "Features\t: fp asimd asimddp\nflags\t: avx2\n")
    assert weight_bits(CPU) == 8


@pytest.mark.parametrize("provider", ["CUDAExecutionProvider", "OpenVINOExecutionProvider"])
def test_other_providers_have_kernels_of_their_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, provider: str
) -> None:
    processor(monkeypatch, tmp_path, "x86_64", listed(HASWELL))
    assert weight_bits(provider) == 8


@pytest.mark.parametrize("text", [None, "", "processor\t: 0\n", "flags\n", "flags\t:\n"])
def test_where_nothing_is_known_no_saturation_is_risked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None
) -> None:
    processor(monkeypatch, tmp_path, "x86_64", text)
    assert weight_bits(CPU) == 7
    assert why_fewer().startswith("this system does not tell whether")


def test_the_file_is_read_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    processor(monkeypatch, tmp_path, "x86_64", listed(HASWELL))
    assert weight_bits(CPU) == 7
    assert why_fewer().startswith("this processor has no dot products")
    (tmp_path / "cpuinfo").write_text(listed(f"{HASWELL} avx_vnni"), encoding="utf-8")
    assert weight_bits(CPU) == 7
