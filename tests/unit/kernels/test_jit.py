import os
import subprocess
import sys
from pathlib import Path

import pytest

from latticewatch.kernels import jit

HERE = Path(jit.__file__).parent
CALLEE = """
from latticewatch.kernels.jit import kernel

@kernel
def weight(value: float) -> float:
    return {factor} * value
"""
CALLER = """
from latticewatch.kernels.callee import weight
from latticewatch.kernels.jit import kernel

@kernel
def weigh_all(value: float) -> float:
    return weight(value) + 1.0
"""
ASK = """
from latticewatch.kernels.caller import weigh_all
weighed = weigh_all(1.0)
print(weighed, sum(weigh_all.stats.cache_hits.values()))
"""


def ask(root: Path) -> list[str]:
    """What a process of its own gets from the kernels of a folder, and how many from the cache."""
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env={**os.environ, "PYTHONPATH": str(root), "NUMBA_CACHE_DIR": str(root / "cache")},
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.slow
def test_a_changed_callee_in_another_file_is_compiled_into_its_caller(tmp_path: Path) -> None:
    folder = tmp_path / "latticewatch" / "kernels"
    folder.mkdir(parents=True)
    for name in ("__init__.py", "jit.py"):
        (folder / name).write_bytes((HERE / name).read_bytes())
    (folder / "caller.py").write_text(CALLER)
    (folder / "callee.py").write_text(CALLEE.format(factor="2.0"))
    assert ask(tmp_path) == ["3.0", "0"]
    assert ask(tmp_path) == ["3.0", "1"]
    (folder / "callee.py").write_text(CALLEE.format(factor="5.0"))
    assert ask(tmp_path) == ["6.0", "0"]


def test_the_digest_tells_names_and_contents_apart(tmp_path: Path) -> None:
    seen = [jit.sources_digest(tmp_path)]
    for name, text in (("one.py", "1"), ("one.py", "2"), ("two.py", "2"), ("two.txt", "3")):
        (tmp_path / name).write_text(text)
        seen.append(jit.sources_digest(tmp_path))
    assert len(set(seen[:4])) == 4
    assert seen[4] == seen[3]


def test_the_digest_of_the_same_sources_elsewhere_is_the_same(tmp_path: Path) -> None:
    for path in HERE.glob("*.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert jit.sources_digest(tmp_path) == jit.sources_digest(HERE)
