"""Zernike functions on a disc of pixels: the basis, sub-pixel discs round sites, invariants."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel
from latticewatch.kernels.zernike_functions import pixel_means

BasisKind = Literal["area", "package"]

# Exponent of infinities and NaN, as the bits of a float32.
_NOT_FINITE = 0x7F800000
_POSITIVE = 0x7FFFFFFF
_LARGEST_ORDER = 30  # above, terms of 1e9 cancel each other in the radial polynomial


@dataclass(frozen=True, slots=True)
class DiscBasis:
    """Zernike functions on the pixels of a disc; moments are `patches @ basis.values.T`.

    Attributes
    ----------
    offsets_yx : (P, 2) int64
        Pixels of the disc about its middle pixel, in row-major order, each row in one piece.
    values : (T, P) float32
        Functions at these pixels over pi side^2 / 4.
    terms : (T, 2) int64
        Their (n, m), from `zernike_terms`.
    side
        Of the square round the disc, pixels.
    radius_px
        Where rho is 1.
    """

    offsets_yx: NDArray[np.int64]
    values: NDArray[np.float32]
    terms: NDArray[np.int64]
    side: int
    radius_px: float


def zernike_terms(n_max: int) -> NDArray[np.int64]:
    """List radial order and repetition of all functions up to an order.

    Parameters
    ----------
    n_max
        0 to 30.

    Returns
    -------
    (T, 2)
        Rows (n, m), m = -n, -n + 2, ..., n; row (n (n + 2) + m) / 2 holds (n, m).

    Examples
    --------
    >>> zernike_terms(2).tolist()
    [[0, 0], [1, -1], [1, 1], [2, -2], [2, 0], [2, 2]]
    >>> len(zernike_terms(10))
    66
    """
    if not 0 <= n_max <= _LARGEST_ORDER:
        raise ValueError(f"n_max = {n_max}: must be 0 to {_LARGEST_ORDER}")
    rows = [(n, m) for n in range(n_max + 1) for m in range(-n, n + 1, 2)]
    return np.array(rows, np.int64)


def n_invariants(n_terms: int) -> int:
    """Count what `invariants` makes of so many moments.

    >>> n_invariants(66)
    36
    """
    order = _order_of(n_terms)
    return (order // 2 + 1) * ((order + 1) // 2 + 1)


def disc_values(
    side: int,
    *,
    n_max: int = 10,
    radius_px: float | None = None,
    kind: BasisKind = "area",
    subsamples: int = 8,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find the pixels of `disc_basis`, and its values in double precision.

    Parameters
    ----------
    side, n_max, radius_px, kind, subsamples
        As for `disc_basis`.

    Returns
    -------
    (P, 2), (T, P)
        Offsets and values.
    """
    radius = (side - 1) / 2 if radius_px is None else float(radius_px)
    if kind == "area" and side % 2 == 0:
        raise ValueError(f"side = {side}: must be odd, so that a pixel lies in the middle")
    if not (side >= 3 and 0.5 <= radius <= side / 2):
        raise ValueError(f"side = {side}, radius = {radius:g}: a disc must fit into 3 px or more")
    per_axis = 1 if kind == "package" else subsamples
    if per_axis < 1:
        raise ValueError(f"subsamples = {subsamples}: must be at least 1")
    terms = zernike_terms(n_max)
    means = pixel_means(terms, side, radius, per_axis)
    # The constant function is 1 inside: where its mean is not zero, the disc has a share.
    rows, columns = np.nonzero(means[0])
    offsets = np.stack([rows, columns], axis=-1).astype(np.int64) - side // 2
    return offsets, means[:, rows, columns] / (np.pi * side**2 / 4)


def disc_basis(
    side: int,
    *,
    n_max: int = 10,
    radius_px: float | None = None,
    kind: BasisKind = "area",
    subsamples: int = 8,
) -> DiscBasis:
    """Sample Zernike functions on the pixels of a disc.

    Parameters
    ----------
    side
        Of the square round the disc, pixels; odd, or of kind "package" any.
    n_max
        Highest radial order, 0 to 30.
    radius_px
        Where rho is 1; half a pixel to side / 2. By default (side - 1) / 2.
    kind
        "area": each pixel holds the mean over its square of the function that ends at the rim.
        "package": its value in the middle of the pixel, as the published package has it. Of an
        even side the middle is then half a pixel before that of pixel 0.
    subsamples
        Points per pixel and axis for the mean of "area"; from 4 on the invariants turn alike.

    Returns
    -------
    DiscBasis

    Notes
    -----
    The mean makes moduli of a turned patch 3 to 35 times steadier than values at the middle of each
    pixel, at no cost per frame; orthonormal functions do not (methods/motifs.md 5.1).
    """
    offsets, values = disc_values(
        side, n_max=n_max, radius_px=radius_px, kind=kind, subsamples=subsamples
    )
    return DiscBasis(
        offsets_yx=offsets,
        values=np.ascontiguousarray(values, np.float32),
        terms=zernike_terms(n_max),
        side=side,
        radius_px=(side - 1) / 2 if radius_px is None else float(radius_px),
    )


@kernel
def _order_of(n_terms: int) -> int:
    order = 0
    while (order + 1) * (order + 2) // 2 < n_terms:
        order += 1
    if (order + 1) * (order + 2) // 2 != n_terms:
        raise ValueError("the number of moments must be (n + 1) (n + 2) / 2")
    return order


@kernel
def _runs(offsets_yx: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find pieces of rows: row, first column, length and first pixel of each."""
    runs = np.empty((len(offsets_yx), 4), np.int64)
    n_runs = 0
    for pixel in range(len(offsets_yx)):
        y, x = offsets_yx[pixel, 0], offsets_yx[pixel, 1]
        last = n_runs - 1
        if n_runs > 0 and y == runs[last, 0] and x == runs[last, 1] + runs[last, 2]:
            runs[last, 2] += 1
        else:
            runs[n_runs, 0], runs[n_runs, 1], runs[n_runs, 2], runs[n_runs, 3] = y, x, 1, pixel
            n_runs += 1
    return runs[:n_runs]


@kernel
def _sample_disc(
    image: NDArray[np.float32],
    place: tuple[float, float],
    runs: NDArray[np.int64],
    out: NDArray[np.float32],
) -> None:
    """Sample one disc that fits into the frame."""
    y, x = np.floor(place[0]), np.floor(place[1])
    down, right = place[0] - y, place[1] - x
    # On a pixel the next one does not count; it may be broken, and behind the last there is none.
    zero, one = np.uint64(0), np.uint64(1)
    lower_row, next_pixel = one if down > 0.0 else zero, one if right > 0.0 else zero
    a, b = np.float32((1.0 - down) * (1.0 - right)), np.float32((1.0 - down) * right)
    c, d = np.float32(down * (1.0 - right)), np.float32(down * right)
    for run in range(len(runs)):
        row, first = np.uint64(int(y) + runs[run, 0]), np.uint64(int(x) + runs[run, 1])
        begin, below = np.uint64(runs[run, 3]), row + lower_row
        for k in range(np.uint64(runs[run, 2])):
            upper = a * image[row, first + k] + b * image[row, first + k + next_pixel]
            lower = c * image[below, first + k] + d * image[below, first + k + next_pixel]
            out[begin + k] = upper + lower


@kernel
def _largest_bits(bits: NDArray[np.int32]) -> np.int32:
    # Whole numbers, since the largest of floats is looked for one by one.
    largest = np.int32(0)
    for pixel in range(len(bits)):
        largest = max(largest, np.int32(bits[pixel] & np.int32(_POSITIVE)))
    return largest


@kernel
def crop_discs(
    image: NDArray[np.float32],
    places_yx: NDArray[np.float64],
    offsets_yx: NDArray[np.int64],
    out: NDArray[np.float32],
    scored: NDArray[np.bool_],
) -> None:
    """Sample the pixels of a disc round each place, linear between the pixels of the frame.

    Parameters
    ----------
    image : (H, W)
        A NaN or an infinity takes the sites that it has a share in.
    places_yx : (N, 2)
        [y, x] in pixels, of the middle of each disc.
    offsets_yx : (P, 2)
        From `disc_basis`.
    out : (N, P)
        Receives the values; zero where a site is not scored.
    scored : (N,)
        Receives whether the disc lies inside the frame and holds finite values alone; false for a
        place that is NaN.
    """
    n_pixels = len(offsets_yx)
    if out.shape[1] != n_pixels or n_pixels == 0:
        raise ValueError("out must be (N, P), for P pixels of a disc")
    height, width = image.shape
    runs = _runs(offsets_yx)
    top, bottom = offsets_yx[:, 0].min(), offsets_yx[:, 0].max()
    left, right = offsets_yx[:, 1].min(), offsets_yx[:, 1].max()
    bits = out.view(np.int32)
    for site in range(len(places_yx)):
        y, x = places_yx[site, 0], places_yx[site, 1]
        # Decided before the conversion to integers, so that NaN fails, and against whole numbers:
        # y + bottom may be rounded to the last row where y is a little behind it.
        fits = -top <= y <= height - 1 - bottom
        fits = fits and -left <= x <= width - 1 - right
        if fits:
            _sample_disc(image, (y, x), runs, out[site])
            fits = _largest_bits(bits[site]) < _NOT_FINITE
        scored[site] = fits
        if not fits:
            out[site] = np.float32(0.0)


@kernel
def invariants(moments: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Keep what a turn of the patch does not change.

    Parameters
    ----------
    moments : (N, T)
        Of all terms up to an order, as `zernike_terms` lists them.
    out : (N, F)
        In order of (n, abs(m)): the moment where m = 0, with its sign, and
        sqrt(A(n, m)^2 + A(n, -m)^2) of the others. F from `n_invariants`.
    """
    order = _order_of(moments.shape[1])
    if out.shape[1] != (order // 2 + 1) * ((order + 1) // 2 + 1) or len(out) != len(moments):
        raise ValueError("out must be (N, F), F from n_invariants")
    # Unsigned, since numba looks at the sign of other indices: 0.40 ms, now 0.15.
    one, two = np.uint64(1), np.uint64(2)
    for site in range(len(moments)):
        feature = np.uint64(0)
        for n in range(order + 1):
            middle, odd = np.uint64(n * (n + 2)), np.uint64(n % 2)
            for k in range(np.uint64(n // 2 + 1)):
                m = two * k + odd
                value = moments[site, (middle + m) >> one]
                if m > 0:
                    sine = moments[site, (middle - m) >> one]
                    value = np.sqrt(value * value + sine * sine)
                out[site, feature] = value
                feature += one
