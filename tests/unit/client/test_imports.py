"""The client is light: it needs pyzmq and msgpack and nothing else that is not Python's own."""

import json
import subprocess
import sys

PROGRAM = """
import sys
before = set(sys.modules)
import latticewatch.client
import json
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def imported_by_the_client() -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    names: list[str] = json.loads(done.stdout)
    return names


def test_client_imports_only_pyzmq_and_msgpack() -> None:
    names = imported_by_the_client()
    packages = {name.partition(".")[0] for name in names} - sys.stdlib_module_names
    packages = {name for name in packages if "cython" not in name}  # what compiled modules register
    assert packages == {"latticewatch", "msgpack", "zmq"}


def test_client_imports_nothing_else_of_ours() -> None:
    ours = {name for name in imported_by_the_client() if name.startswith("latticewatch.")}
    assert {name.split(".")[1] for name in ours} == {"client"}
