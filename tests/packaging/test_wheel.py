"""The wheel holds every part of the compiler, and works in an environment of its own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {"onnxopt": ROOT / "onnxopt", "onnxopt/passes": ROOT / "passes"}
_OFFLINE = re.compile(
    r"No matching distribution|Failed to establish|Temporary failure|timed out|ConnectionError|"
    r"ProxyError|SSLError|Max retries",
    re.IGNORECASE,
)


def sources() -> Iterator[str]:
    """Every file of the compiler, at the place where it belongs in a wheel."""
    for place, folder in SOURCES.items():
        for path in folder.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield f"{place}/{path.relative_to(folder)}"


def test_every_folder_with_modules_is_listed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {str(Path(file).parent) for file in sources() if file.endswith(".py")}
    assert {name.replace(".", "/") for name in settings["packages"]} == folders
    assert all(f"{folder}/__init__.py" in set(sources()) for folder in folders)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds the wheel from a copy, so that nothing is left in the project's folder."""
    copy = tmp_path_factory.mktemp("source")
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in ("onnxopt", "passes"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run([*pip, "."], cwd=copy, capture_output=True, text=True, check=False)
    if done.returncode and "No module named" in done.stderr:
        pytest.skip("building needs pip and setuptools in this environment")
    assert done.returncode == 0, done.stderr
    [path] = copy.glob("*.whl")
    return path


def test_wheel_is_complete_and_nothing_else_is_in_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    inside = {name for name in names if ".dist-info/" not in name}
    assert inside == set(sources())
    assert "onnxopt/py.typed" in inside
    assert "onnxopt/targets/generic.toml" in inside


def test_wheel_says_what_it_offers(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    [info] = {name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name}
    entries = archive.read(f"{info}/entry_points.txt").decode()
    assert "onnxopt = onnxopt.cli:main" in entries
    assert "builtin = onnxopt.passes" in entries
    metadata = archive.read(f"{info}/METADATA").decode()
    for extra in ("cpu", "cuda", "torch", "bench", "dev"):
        assert f"Provides-Extra: {extra}\n" in metadata
    assert not re.search(r"^Requires-Dist: onnxruntime[^;]*$", metadata, re.MULTILINE)
    assert any(name.endswith("LICENSE") for name in archive.namelist())


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with nothing but the wheel and what it asks for."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=True)
    pip = [
        str(place / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-compile",
        f"{wheel}[cpu]",
    ]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode and _OFFLINE.search(done.stderr):
        pytest.skip("the packages that onnxopt depends on cannot be downloaded here")
    assert done.returncode == 0, done.stderr
    return place / "bin"


def test_fresh_environment_runs_it(fresh: Path, tmp_path: Path) -> None:
    def onnxopt(*args: str) -> str:
        command = [str(fresh / "onnxopt"), *args]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout

    from onnxopt.pipeline.registry import registry

    known = {entry["name"] for entry in json.loads(onnxopt("passes", "--json"))}
    builtin = {
        *(rule.name for rule in registry().rules.values() if rule.module.startswith("onnxopt.")),
        *(n for n, c in registry().passes.items() if c.__module__.startswith("onnxopt.")),
        *registry().pipelines,
    }
    assert builtin <= known
    model = str(ROOT / "models" / "digits_cnn.onnx")
    report = json.loads(onnxopt("optimize", model, "-o", "out.onnx", "--json"))
    assert report["validation"]["status"] == "passed"
    assert report["after"]["nodes"] < report["before"]["nodes"]
    onnx.checker.check_model(onnx.load(str(tmp_path / "out.onnx")), full_check=True)
    where = [str(fresh / "python"), "-c", "import onnxopt.passes.fuse as m; print(m.__file__)"]
    place = subprocess.run(where, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert str(fresh.parent) in place
