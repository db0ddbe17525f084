"""The one decorator of every kernel: cache, GIL, error model and float flags are decided here."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])  # Any: a kernel takes what it likes


def sources_digest(folder: Path) -> str:
    """Digest of all Python files of a folder, names and content: 1 ms for these here.

    Parameters
    ----------
    folder
        Read, never written. Of a folder that is none, as in a zip file, nothing is read.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        source = path.read_bytes()
        digest.update(f"{path.name} {len(source)}\n".encode())
        digest.update(source)
    return digest.hexdigest()


_SOURCES = sources_digest(Path(__file__).parent)


def kernel(function: Function) -> Function:
    """Compile a function on arrays, on first call and once per set of argument types.

    Notes
    -----
    The machine code is kept on disk until any file of this folder changes: a kernel may call
    kernels of other files.
    """
    # 1. cache: the second start takes 0.2 s where the first takes seconds.
    # 2. nogil: a receive thread beside a kernel that holds the GIL waits for all of it.
    # 3. error_model: 0/0 is NaN as in numpy, and no exception ends the loop.
    # 4. fastmath stays off: it deletes isnan, and NaN marks what must not be judged.
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=False)(function)
    _stamp_cache(compiled)
    return cast(Function, compiled)


def _stamp_cache(compiled: object) -> None:
    """Make machine code on disk stale when any kernel's source changes.

    By itself numba looks at the file of the kernel alone, and runs machine code that holds what a
    callee in another file used to be.
    """
    # Numba has no public way. Where a later one keeps the stamp elsewhere, this does nothing, and
    # the test that changes a callee says so. Without JIT there is no cache.
    file = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if file is not None:
        file._source_stamp = (file._source_stamp, _SOURCES)  # noqa: SLF001
