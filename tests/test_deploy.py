"""What the scripts in deploy/ say where they cannot work."""

import shutil
import subprocess
from pathlib import Path

import pytest

ENVIRONMENT = Path(__file__).parents[1] / "deploy" / "environment.sh"
COMMANDS = ("dirname", "head")  # of those that the script calls before it has found a Python


@pytest.mark.parametrize(
    ("python3", "found"),
    [
        ('[ "$1" != --version ] || echo Python 3.9.2; exit 1', "Python 3.9.2"),
        ('[ "$1" != --version ] && exit 1; echo Python 3.9.2', "Python 3.9.2"),
        ("exit 1", "none"),
    ],
    ids=["wrapper", "old", "broken"],
)
def test_a_python_that_is_too_old_is_one_line(tmp_path: Path, python3: str, found: str) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    script, programs = tmp_path / "deploy" / "environment.sh", tmp_path / "bin"
    script.parent.mkdir()
    programs.mkdir()
    shutil.copy(ENVIRONMENT, script)
    for name in COMMANDS:
        (programs / name).symlink_to(str(shutil.which(name)))
    (programs / "python3").write_text(f"#!{bash}\n{python3}\n")
    (programs / "python3").chmod(0o755)

    done = subprocess.run(
        [bash, "-c", f'source "{script}"'],
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr == (
        f"Python 3.11 or newer is needed, found {found}: "
        "apt install python3 python3-venv (Debian 12 or newer)\n"
    )
