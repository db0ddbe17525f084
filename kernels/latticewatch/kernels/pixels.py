"""Pixels as they come: any accepted type to native float32, and what is wrong with them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel

# Kind and bytes of what a frame may hold, in either byte order. The wire carries the first four;
# recordings hold the others.
ACCEPTED = ("u1", "u2", "u4", "f4", "b1", "i1", "i2", "i4", "f2", "f8")


def native_float32(pixels: NDArray[Any], out: NDArray[np.float32]) -> None:  # Any: see ACCEPTED
    """Copy pixels of any accepted type, byte order, alignment and stride to native float32.

    Every kernel reads what this wrote, never what came: a compiled kernel that has met a
    read-only native array reads a big-endian one as native, without an error.

    Parameters
    ----------
    pixels : (H, W)
        One of `ACCEPTED`, little- or big-endian. Values beyond float32 become infinities, and
        integers above 2^24 are rounded. It is only read.
    out : (H, W)
        Receives the same numbers. The caller owns it: a frame allocates nothing.
    """
    if f"{pixels.dtype.kind}{pixels.dtype.itemsize}" not in ACCEPTED:
        raise TypeError(f"pixels are {pixels.dtype}: expected one of {', '.join(ACCEPTED)}")
    if pixels.shape != out.shape:
        raise ValueError(f"pixels are {pixels.shape}, the buffer is {out.shape}: must be equal")
    with np.errstate(over="ignore", invalid="ignore"):
        np.copyto(out, pixels, casting="same_kind")


@kernel
def count_pixels(image: NDArray[np.float32], full_scale: float, counts: NDArray[np.int64]) -> None:
    """Count what makes a frame doubtful, in one pass.

    Parameters
    ----------
    image : (H, W)
        Pixels as acquired.
    full_scale
        Value at which the detector saturates; 0 or less if unknown, and then none is saturated.
    counts : (4,)
        Receives the numbers of pixels that are not finite, that are saturated, that are zero, and
        that differ from the first pixel (0 means that the frame is constant). NaN differs from
        everything, itself included.
    """
    counts[:] = 0
    limit = np.float32(full_scale) if full_scale > 0 else np.float32(np.inf)
    largest = np.float32(3.4028234663852886e38)
    height, width = image.shape
    first = image[0, 0] if height * width > 0 else np.float32(0)
    for y in range(height):
        # Four-byte counters in the inner loop: as wide as the pixels, so eight go at once.
        row_nonfinite = np.int32(0)
        row_saturated = np.int32(0)
        row_zero = np.int32(0)
        row_different = np.int32(0)
        for x in range(width):
            value = image[y, x]
            row_nonfinite += np.int32(not (abs(value) <= largest))
            row_saturated += np.int32(value >= limit)
            row_zero += np.int32(value == 0)
            row_different += np.int32(value != first)
        counts[0] += row_nonfinite
        counts[1] += row_saturated
        counts[2] += row_zero
        counts[3] += row_different
    # Without a known full scale the limit was infinity, which an infinite pixel reaches.
    if not full_scale > 0:
        counts[1] = 0


@kernel
def clear_nonfinite(image: NDArray[np.float32], value: float) -> int:
    """Replace NaN and infinities in place, and say how many there were.

    Parameters
    ----------
    image : (H, W)
        Changed in place.
    value
        What a dead pixel becomes; the median of the frame disturbs a blur least.
    """
    largest = np.float32(3.4028234663852886e38)
    filling = np.float32(value)
    height, width = image.shape
    n_replaced = 0
    for y in range(height):
        n_dead = np.int32(0)
        for x in range(width):
            n_dead += np.int32(not (abs(image[y, x]) <= largest))
        # A clean row, which nearly all are, is only read.
        if n_dead > 0:
            for x in range(width):
                if not (abs(image[y, x]) <= largest):
                    image[y, x] = filling
            n_replaced += int(n_dead)
    return n_replaced
