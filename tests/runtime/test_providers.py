"""Provider names, and what happens without onnxruntime."""

from __future__ import annotations

import subprocess
import sys

import pytest

from onnxopt.errors import RuntimeMissingError, UsageError
from onnxopt.runtime import providers, sessions

CPU = "CPUExecutionProvider"


def _pretend(monkeypatch: pytest.MonkeyPatch, *present: str) -> None:
    monkeypatch.setattr(providers, "available", lambda: list(present))


@pytest.mark.parametrize("name", ["cpu", "CPU", " Cpu ", CPU, CPU.lower()])
def test_spellings(name: str) -> None:
    assert providers.resolve([name]) == [CPU]


def test_repetition_is_dropped() -> None:
    assert providers.resolve(["cpu", CPU]) == [CPU]


@pytest.mark.parametrize("names", [None, []])
def test_default_is_cpu_and_cuda_where_present(
    monkeypatch: pytest.MonkeyPatch, names: list[str] | None
) -> None:
    _pretend(monkeypatch, "TensorrtExecutionProvider", providers.CUDA, CPU)
    assert providers.resolve(names) == [CPU, providers.CUDA]
    _pretend(monkeypatch, "AzureExecutionProvider", CPU)
    assert providers.resolve(names) == [CPU]


@pytest.mark.parametrize(("name", "remedy"), [("cuda", "onnxopt[cuda]"), ("tensorrt", "TensorRT")])
def test_missing_provider_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, name: str, remedy: str
) -> None:
    _pretend(monkeypatch, CPU)
    with pytest.raises(RuntimeMissingError) as caught:
        providers.resolve([name])
    assert remedy in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 4


def test_unknown_provider_lists_the_known() -> None:
    with pytest.raises(UsageError, match=r"unknown provider 'cdua'.*cuda"):
        providers.resolve(["cdua"])


def test_chain_ends_with_cpu() -> None:
    assert providers.chain(CPU) == [CPU]
    assert providers.chain(providers.CUDA) == [providers.CUDA, CPU]


def test_without_onnxruntime_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(RuntimeMissingError) as caught:
        providers.resolve(None)
    message = str(caught.value)
    assert "onnxopt[cpu]" in message
    assert "onnxopt[cuda]" in message
    assert "\n" not in message


def test_nothing_heavy_is_imported_before_use() -> None:
    code = (
        "import sys\n"
        "import onnxopt.runtime.validate, onnxopt.runtime.inputs, onnxopt.runtime.evaluate\n"
        "import onnxopt.runtime.providers, onnxopt.runtime.worker\n"
        "loaded = {'onnxruntime', 'onnx', 'onnx_ir'} & set(sys.modules)\n"
        "sys.exit(repr(loaded) if loaded else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            "[ONNXRuntimeError] : 1 : FAIL : Non-zero status. Status Message: /onnxruntime_src/core/"
            "reshape_helper.h:91 onnxruntime::Helper::Helper(const Shape&, bool) sizes differ.\n",
            "Non-zero status. Status Message: sizes differ.",
        ),
        ("[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : no Cos", "NOT_IMPLEMENTED: no Cos"),
        ("two\nlines", "two lines"),
    ],
)
def test_one_line(raw: str, expected: str) -> None:
    assert sessions.one_line(raw) == expected


def test_one_line_of_an_empty_error_is_its_class() -> None:
    assert sessions.one_line(MemoryError()) == "MemoryError"


def test_one_line_is_bounded() -> None:
    assert len(sessions.one_line("x" * 10_000)) <= 300
