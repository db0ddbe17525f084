"""The one place for the flags of the simulator's compiled loops."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])  # any signature: numba infers it


def compiled(function: Function) -> Function:
    """Compile a loop over arrays, cached on disk, without the GIL and without fast maths."""
    return cast(Function, njit(cache=True, nogil=True, error_model="numpy")(function))
