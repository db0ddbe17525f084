"""Stored pixels to one of the types that travel; the values keep their meaning."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Stored type, without byte order: the one it travels as. Signed integers travel as unsigned ones
# of the same size, with an offset where there are negative values. Integers of 64 bits, NumPy's
# default, travel as 32 bits where their values fit: never fewer, so that all frames
# of a file are alike.
WIRE_TYPES = {
    "b1": "u1",
    "u1": "u1",
    "u2": "<u2",
    "u4": "<u4",
    "i2": "<u2",
    "i4": "<u4",
    "u8": "<u4",
    "i8": "<u4",
    "f2": "<f4",
    "f4": "<f4",
    "f8": "<f4",
}


def wire_pixels(frame: NDArray[Any]) -> NDArray[Any]:
    """Pixels as they may be sent: u1, <u2, <u4 or <f4, and contiguous.

    Parameters
    ----------
    frame : (H, W)
        Of a type that a `Recording` may have, any byte order and strides. NaN and infinity stay;
        a float64 beyond the range of float32 becomes infinite.

    Returns
    -------
    (H, W)
        The memory of `frame` where nothing had to change.

    Raises
    ------
    ValueError
        The type is none of these, or values of 64 bits fit neither int32 nor uint32.

    Examples
    --------
    >>> wire_pixels(np.array([[-3, 2]], dtype=np.int16))
    array([[1, 6]], dtype=uint16)
    """
    target = np.dtype(_wire_type(frame))
    refuse_wide(frame)
    offset = _offset(frame)
    if offset:
        # Modulo arithmetic of unsigned integers: exact, and no wider array in between.
        unsigned: NDArray[Any] = np.ascontiguousarray(frame).astype(target)
        unsigned += target.type(offset)
        return unsigned
    with np.errstate(over="ignore"):  # becomes infinite, and the daemon flags that
        return np.ascontiguousarray(frame, dtype=target)


def conversion_attrs(frame: NDArray[Any]) -> dict[str, str | int]:
    """Name what `wire_pixels` changes in this frame, for the header's `attrs`; empty if nothing.

    Examples
    --------
    >>> conversion_attrs(np.array([[-3, 2]], dtype=np.int16))
    {'stored_type': 'int16', 'added_to_pixels': 4}
    """
    if frame.dtype.kind + str(frame.dtype.itemsize) == _wire_type(frame).lstrip("<"):
        return {}
    attrs: dict[str, str | int] = {"stored_type": frame.dtype.name}
    offset = _offset(frame)
    return attrs | {"added_to_pixels": offset} if offset else attrs


def refuse_wide(frame: NDArray[Any]) -> None:
    """Refuse integers of 64 bits whose values fit no smaller type; anything else passes.

    Raises
    ------
    ValueError
        They fit neither int32 nor uint32.

    Examples
    --------
    >>> refuse_wide(np.array([[-1, 2**31]]))
    Traceback (most recent call last):
    ...
    ValueError: int64 pixels of -1 to 2147483648 fit neither int32 nor uint32: store float32
    """
    if frame.dtype.kind not in "iu" or frame.dtype.itemsize < 8 or not frame.size:
        return
    lowest, highest = int(frame.min()), int(frame.max())
    narrow = np.iinfo(np.int32 if lowest < 0 else np.uint32)
    if not narrow.min <= lowest <= highest <= narrow.max:
        raise ValueError(
            f"{frame.dtype.name} pixels of {lowest} to {highest} fit neither int32 nor uint32: "
            "store float32"
        )


def _wire_type(frame: NDArray[Any]) -> str:
    kind = frame.dtype.kind + str(frame.dtype.itemsize)
    if kind not in WIRE_TYPES:
        raise ValueError(f"pixels of {frame.dtype}: expected one of {', '.join(WIRE_TYPES)}")
    return WIRE_TYPES[kind]


def _offset(frame: NDArray[Any]) -> int:
    """Find what makes all pixels positive: 0 or a power of two, so that it seldom changes.

    Not half the range: of 2**31 + 1 and 2**31 + 2 the daemon's float32 makes the same number.
    """
    if frame.dtype.kind != "i" or not frame.size:
        return 0
    lowest = int(frame.min())
    return 1 << (-lowest - 1).bit_length() if lowest < 0 else 0
