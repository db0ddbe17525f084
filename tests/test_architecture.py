"""What holds the packages apart and together: contracts, namespace, wheel, cost of an import."""

import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE_ROOTS = [ROOT / name for name in ("adapters", "daemon", "kernels", "simulator")]
PACKAGES = sorted(
    init.parent
    for source_root in SOURCE_ROOTS
    for init in (source_root / "latticewatch").glob("*/__init__.py")
)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run with the four source roots on the path, so that no installation is needed."""
    paths = os.pathsep.join(str(source_root) for source_root in SOURCE_ROOTS)
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def modules_after(statement: str) -> set[str]:
    """Names in sys.modules after a statement in a fresh interpreter."""
    done = run(sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules, sep='\\n')")
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def shipped_files() -> set[str]:
    """Every file under the four roots that belongs into the wheel, by its path in there."""
    return {
        path.relative_to(source_root).as_posix()
        for source_root in SOURCE_ROOTS
        for path in (source_root / "latticewatch").rglob("*")
        if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in path.parts)
    }


def test_every_import_contract_is_kept() -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")
    done = run(str(lint_imports), "--no-cache")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken." in done.stdout


def test_the_namespace_is_implicit_in_every_root() -> None:
    # One such file, and the packages of the three other roots are gone.
    assert [root for root in SOURCE_ROOTS if (root / "latticewatch" / "__init__.py").exists()] == []


def test_the_eight_packages_are_there_once() -> None:
    assert sorted(package.name for package in PACKAGES) == [
        "adapters",
        "client",
        "daemon",
        "dashboard",
        "detectors",
        "kernels",
        "simulator",
        "wire",
    ]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_every_package_tells_its_types(package: Path) -> None:
    assert (package / "py.typed").is_file()


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_every_folder_of_modules_is_a_package(package: Path) -> None:
    folders = {module.parent for module in package.rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_the_client_costs_no_numpy() -> None:
    loaded = modules_after("import latticewatch.client.stream")
    assert {"zmq", "msgpack"} <= loaded
    assert loaded.isdisjoint({"numpy", "numba", "msgspec", "latticewatch.wire"})


def test_file_libraries_are_met_only_when_a_file_is_opened() -> None:
    loaded = modules_after("import latticewatch.adapters.recorded")
    assert loaded.isdisjoint({"tifffile", "imagecodecs", "PIL", "h5py", "zarr"})


def test_the_command_line_answers_without_the_compiler() -> None:
    loaded = modules_after("import latticewatch.daemon.cli")
    assert loaded.isdisjoint({"numba", "scipy", "onnxruntime", "matplotlib"})


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("hatchling") is None, reason="the wheel is built here, and hatchling is not installed"
)
def test_the_wheel_holds_every_module_and_every_model(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    done = run(*pip, "--wheel-dir", str(tmp_path), str(ROOT))
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == shipped_files()
    assert any(name.startswith("latticewatch/detectors/pretrained/mos2.") for name in names)
