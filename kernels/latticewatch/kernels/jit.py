"""The one decorator of every kernel: cache, GIL, error model and float flags are decided here."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])  # Any: a kernel takes what it likes


def kernel(function: Function) -> Function:
    """Compile a function on arrays, on first call and once per set of argument types.

    Notes
    -----
    The machine code is kept on disk, so a change of these flags needs a fresh `NUMBA_CACHE_DIR`:
    numba notices a change of the kernel's own file only.
    """
    # 1. cache: the second start takes 0.2 s where the first takes seconds.
    # 2. nogil: a receive thread beside a kernel that holds the GIL waits for all of it.
    # 3. error_model: 0/0 is NaN as in numpy, and no exception ends the loop.
    # 4. fastmath stays off: it deletes isnan, and NaN marks what must not be judged.
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=False)(function)
    return cast(Function, compiled)
