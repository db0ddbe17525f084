"""Windows around sites, copied into a block that the caller owns."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel


@kernel
def _copy_patch(
    image: NDArray[np.float32], top: int, left: int, patch: NDArray[np.float32]
) -> None:
    """Copy one window and remove its mean."""
    size = len(patch)
    # The first row of the result holds the sums of the columns for a while: adding rows to it
    # goes eight at a time, adding up pixels would go one by one.
    sums = patch[0]
    sums[:] = np.float32(0.0)
    for row in range(size):
        source = image[top + row, left : left + size]
        for column in range(size):
            sums[column] += source[column]
    total = 0.0
    for column in range(size):
        total += np.float64(sums[column])
    mean = np.float32(total / (size * size))
    for row in range(size):
        # Slices, and not an offset to `column`: an index that numba cannot prove to be positive
        # is checked at each pixel, and the loop stays scalar.
        source = image[top + row, left : left + size]
        target = patch[row]
        for column in range(size):
            target[column] = source[column] - mean


@kernel
def gather_patches(
    image: NDArray[np.float32],
    places: NDArray[np.float64],
    size: int,
    out: NDArray[np.float32],
    inside: NDArray[np.bool_],
) -> None:
    """Copy the square window around each place and remove its mean.

    Parameters
    ----------
    image : (H, W)
        Usually the normalised frame. A NaN in a window makes all of that window NaN.
    places : (N, 2)
        [y, x] in pixels; the window is centred on the nearest pixel (halves go up).
    size
        Side of the window in pixels, odd.
    out : (N, size, size)
        Receives the windows. One that reaches over the edge is zero.
    inside : (N,)
        Receives whether the whole window lies inside the frame; false for a place that is NaN.
    """
    if size % 2 == 0 or out.shape[1] != size or out.shape[2] != size:
        raise ValueError("size must be odd, and out must be (N, size, size)")
    height, width = image.shape
    half = size // 2
    for patch in range(len(places)):
        y_px = np.floor(places[patch, 0] + 0.5)
        x_px = np.floor(places[patch, 1] + 0.5)
        # Decided before the conversion to integers, and so that NaN fails.
        fits_y = half <= y_px <= height - 1 - half
        fits_x = half <= x_px <= width - 1 - half
        inside[patch] = fits_y and fits_x
        if fits_y and fits_x:
            _copy_patch(image, int(y_px) - half, int(x_px) - half, out[patch])
        else:
            out[patch] = 0.0


@kernel
def _copy_thinned(
    window: NDArray[np.float32],
    step: int,
    sums: NDArray[np.float32],
    patch: NDArray[np.float32],
) -> None:
    """Copy every `step`-th pixel of one window and remove their mean."""
    n = len(patch)
    sums[:] = np.float32(0.0)
    for row in range(n):
        # A slice, since numba looks at the sign of a product that is an index.
        source = window[row * step, ::step]
        target = patch[row]
        for column in range(n):
            target[column] = source[column]
        # Rows are added to rows: along a row each addition would wait for the one before it.
        for column in range(n):
            sums[column] += target[column]
    total = 0.0
    for column in range(n):
        total += np.float64(sums[column])
    mean = np.float32(total / (n * n))
    for row in range(n):
        target = patch[row]
        for column in range(n):
            target[column] -= mean


@kernel
def gather_thinned(
    image: NDArray[np.float32],
    places: NDArray[np.float64],
    size: int,
    step: int,
    out: NDArray[np.float32],
    inside: NDArray[np.bool_],
) -> None:
    """Copy every `step`-th pixel, both ways from the centre, around each place; remove their mean.

    A frame that was blurred with a width of at least 1.2 `step` pixels holds nothing that these
    pixels do not say.

    Parameters
    ----------
    image : (H, W)
        Usually the normalised frame. A NaN spoils its own windows.
    places : (N, 2)
        [y, x] in pixels; the window is centred on the nearest pixel (halves go up).
    size
        Side of the window in pixels, odd.
    step
        At least 1.
    out : (N, n, n)
        Receives the pixels; n = 2 ((size / 2) / step) + 1, both rounded down. A window
        that reaches over the edge of the frame is zero.
    inside : (N,)
        Receives whether the whole window lies inside the frame; false for a place that is NaN.

    Notes
    -----
    Takes a row of n numbers, once per call.
    """
    half = size // 2
    reach = half // step
    n = 2 * reach + 1
    if size % 2 == 0 or out.shape[1] != n or out.shape[2] != n:
        raise ValueError("size must be odd, and out must be (N, n, n)")
    sums = np.empty(n, np.float32)
    height, width = image.shape
    for patch in range(len(places)):
        y_px = np.floor(places[patch, 0] + 0.5)
        x_px = np.floor(places[patch, 1] + 0.5)
        # Decided before the conversion to integers, and so that NaN fails.
        fits_y = half <= y_px <= height - 1 - half
        fits_x = half <= x_px <= width - 1 - half
        inside[patch] = fits_y and fits_x
        if fits_y and fits_x:
            top, left = int(y_px) - reach * step, int(x_px) - reach * step
            end = (n - 1) * step + 1
            _copy_thinned(image[top : top + end, left : left + end], step, sums, out[patch])
        else:
            out[patch] = 0.0


@kernel
def add_windows(
    image: NDArray[np.float32], places: NDArray[np.float64], out: NDArray[np.float32]
) -> int:
    """Add up the square windows around some places.

    Parameters
    ----------
    image : (H, W)
        A NaN spoils its pixel of the sum.
    places : (N, 2)
        [y, x] in pixels; each window is centred on the nearest pixel (halves go up). One that
        reaches over the edge, or whose place is NaN, is left out. Few: single precision adds up.
    out : (S, S)
        Receives the sum; S odd.

    Returns
    -------
    int
        How many were added.
    """
    size, half = len(out), len(out) // 2
    if size % 2 == 0 or out.shape[1] != size:
        raise ValueError("out must be a square of odd size")
    height, width = image.shape
    out[:] = np.float32(0.0)
    n_added = 0
    for place in range(len(places)):
        y_px = np.floor(places[place, 0] + 0.5)
        x_px = np.floor(places[place, 1] + 0.5)
        # Decided before the conversion to integers, and so that NaN fails.
        fits = (half <= y_px <= height - 1 - half) and (half <= x_px <= width - 1 - half)
        if not fits:
            continue
        n_added += 1
        top, left = int(y_px) - half, int(x_px) - half
        for row in range(size):
            source, target = image[top + row, left : left + size], out[row]
            for column in range(size):
                target[column] += source[column]
    return n_added


def thinned_size(size: int, step: int) -> int:
    """Return how many pixels a side `gather_thinned` takes.

    >>> [thinned_size(35, 1), thinned_size(35, 2), thinned_size(33, 2)]
    [35, 17, 17]
    """
    return 2 * ((size // 2) // step) + 1
