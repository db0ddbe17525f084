"""The symmetry filters as published, in our own words, to compare with; nothing else uses them.

Dennler et al.: 49 filters from one tile, their energies in boxes at every pixel, and the
distance to the same pixel of that tile (methods/symmetry.md, 2). A frame takes seconds.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.symmetry.published_masks import (
    box_variance,
    fuse_masks,
    symmetry_mask,
    variance_mask,
)

# Any: float32 or float64, whichever came in.
Floats: TypeAlias = NDArray[np.floating[Any]]
Bank: TypeAlias = Literal["rows", "eigenvectors"]

TILE_PX = 128
STRIDE_PX = 64
RIM_PX = 16
WINDOW_PX = 7
BOX_PX = 16
BRIGHTEST = 254.0


@dataclass(frozen=True, slots=True, eq=False)
class PublishedReference:
    """What the filters learn from a model tile.

    Attributes
    ----------
    bank : (49, 49)
        A filter a row, of 7 x 7 px row by row.
    energies : (128, 128, 49)
        Of the model tile itself, by pixel.
    inverse : (49, 49) float64
        Of the covariance of these energies, borders included, without any ridge.
    lower_bound
        Smallest variance of a box of the model tile.
    """

    bank: Floats
    energies: Floats
    inverse: NDArray[np.float64]
    lower_bound: float


@dataclass(frozen=True, slots=True, eq=False)
class PublishedMaps:
    """What the published program makes of a frame.

    Attributes
    ----------
    distance : (H, W)
        Mean over the tiles that see a pixel; NaN where none does, in the outer 16 px.
    variance : (H, W)
        Of boxes of 20 px, on the scale of 0 to 254.
    symmetry_mask, variance_mask : (H, W) bool
        Where the distance stands out; where there is no structure.
    fused : (H, W) float32
        0; 1 where the symmetry is broken; 1.05 where there is no structure.
    """

    distance: Floats
    variance: Floats
    symmetry_mask: NDArray[np.bool_]
    variance_mask: NDArray[np.bool_]
    fused: NDArray[np.float32]


def preprocess(frame: Floats) -> Floats:
    """Take the difference of two Gaussians, 2 and 3 px, and stretch it to 0..254.

    Raises
    ------
    ValueError
        If the frame is uniform or not finite: there is nothing to stretch.
    """
    narrow = ndimage.gaussian_filter(frame, 2.0)
    band: Floats = narrow - ndimage.gaussian_filter(frame, 3.0)
    darkest, brightest = band.min(), band.max()
    if not (np.isfinite(darkest) and np.isfinite(brightest) and brightest > darkest):
        raise ValueError("the frame is uniform or holds pixels that are not finite")
    stretched: Floats = (band - darkest) * (BRIGHTEST / (brightest - darkest))
    return stretched.astype(frame.dtype)


def filter_bank(tile: Floats, bank: Bank) -> Floats:
    """Learn 49 orthonormal filters from all windows of 7 x 7 px of a preprocessed tile.

    Parameters
    ----------
    tile : (H, W)
        At least 8 px each way.
    bank
        "eigenvectors" of the covariance of the windows, by falling eigenvalue, as the paper says;
        or the "rows" of the matrix that holds them as columns, as the program takes.

    Returns
    -------
    (49, 49)
        A filter a row.

    Notes
    -----
    An eigenvector has no sign of its own, and the last ones are all rounding. A row takes one
    number of each: so the "rows" are other filters with another library or on another computer.
    On one image the area under the curve was 0.82 to 0.86 over 30 choices of signs and order.
    """
    windows = np.lib.stride_tricks.sliding_window_view(tile, (WINDOW_PX, WINDOW_PX))
    samples = windows.reshape(-1, WINDOW_PX * WINDOW_PX).astype(np.float64)
    _, vectors = np.linalg.eigh(np.cov(samples.T))
    filters: Floats = vectors if bank == "rows" else vectors.T[::-1]
    return np.ascontiguousarray(filters, tile.dtype)


def filter_responses(pixels: Floats, bank: Floats) -> Floats:
    """Convolve with each filter, the pixels mirrored at their edges, edge pixel not repeated.

    Parameters
    ----------
    pixels : (H, W)
        Preprocessed.
    bank : (K, 49)
        Turned by half a turn, as a convolution does.

    Returns
    -------
    (H, W, K)
    """
    padded = np.pad(pixels, WINDOW_PX // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (WINDOW_PX, WINDOW_PX))
    responses: Floats = windows.reshape(-1, WINDOW_PX * WINDOW_PX) @ bank[:, ::-1].T
    return responses.reshape(*pixels.shape, len(bank))


def filter_energies(pixels: Floats, bank: Floats) -> Floats:
    """Sum the squared responses of each filter over the 16 x 16 px round each pixel.

    Parameters
    ----------
    pixels, bank
        As for `filter_responses`. The boxes see nothing beyond the edges.

    Returns
    -------
    (H, W, K)
        A box reaches from 7 px before the pixel to 8 px behind it.
    """
    energies = np.square(filter_responses(pixels, bank))
    for axis in (0, 1):
        energies = ndimage.uniform_filter1d(energies, BOX_PX, axis, mode="constant", origin=-1)
    boxed: Floats = energies * energies.dtype.type(BOX_PX**2)
    return boxed


def learn(tile: Floats, bank: Bank = "rows") -> PublishedReference:
    """Learn filters, their energies and the spread of these from one tile.

    Parameters
    ----------
    tile : (128, 128)
        Of the preprocessed frame.

    Raises
    ------
    ValueError
        If the tile has another size, or holds no structure.
    """
    if tile.shape != (TILE_PX, TILE_PX):
        raise ValueError(f"the model tile is {tile.shape}, and must be 128 x 128 px")
    filters = filter_bank(tile, bank)
    energies = filter_energies(tile, filters)
    samples = energies.reshape(-1, len(filters)).astype(np.float64)
    try:
        inverse = np.asarray(np.linalg.inv(np.cov(samples.T)), np.float64)
    except np.linalg.LinAlgError as error:
        raise ValueError("the model tile holds no structure: choose another one") from error
    return PublishedReference(filters, energies, inverse, float(box_variance(tile).min()))


def distance_map(pixels: Floats, reference: PublishedReference) -> Floats:
    """Measure how far the energies of each pixel are from those of a pixel of the model tile.

    Tiles of 128 px lie 64 px apart, and each pixel of a tile is compared with the one at the same
    place of the model tile; the outer 16 px of each tile are left out. The program adds up the
    up to four tiles that see a pixel and mends the margins by hand; this is the mean.

    Parameters
    ----------
    pixels : (H, W)
        Preprocessed. What does not fill a last tile is not looked at.

    Returns
    -------
    (H, W)
        NaN where no tile looks. The eigenvectors' covariance has no inverse in floating point,
        and where its square is negative for that reason the distance is 0.
    """
    total, n_tiles = np.zeros(pixels.shape, pixels.dtype), np.zeros(pixels.shape, np.int64)
    height, width = pixels.shape
    inner = slice(RIM_PX, TILE_PX - RIM_PX)
    expected = reference.energies[inner, inner]
    for top in range(0, height - TILE_PX + 1, STRIDE_PX):
        # The same as tile by tile: windows and boxes reach 11 px, less than the rim.
        band = filter_energies(pixels[top : top + TILE_PX], reference.bank)
        rows = slice(top + RIM_PX, top + TILE_PX - RIM_PX)
        for left in range(0, width - TILE_PX + 1, STRIDE_PX):
            columns = slice(left + RIM_PX, left + TILE_PX - RIM_PX)
            difference = (band[inner, columns] - expected).astype(np.float64)
            squares = np.sum((difference @ reference.inverse) * difference, axis=-1)
            total[rows, columns] += np.sqrt(np.maximum(squares, 0.0)).astype(pixels.dtype)
            n_tiles[rows, columns] += 1
    mean: Floats = np.where(n_tiles > 0, total / np.maximum(n_tiles, 1), np.nan)
    return mean.astype(pixels.dtype)


def published_maps(frame: Floats, tile_yx: tuple[int, int], bank: Bank = "rows") -> PublishedMaps:
    """Run all of the published filters on one frame.

    Parameters
    ----------
    frame : (H, W)
        At least 128 px each way, in float32 or float64, as is then computed with.
    tile_yx
        Row and column of the model tile among tiles of 128 px side by side.

    Raises
    ------
    ValueError
        If the frame has no such tile, or frame or tile hold no structure.
    """
    top, left = (TILE_PX * index for index in tile_yx)
    height, width = frame.shape
    if min(top, left) < 0 or top + TILE_PX > height or left + TILE_PX > width:
        raise ValueError(f"a frame of {height} x {width} px has no tile {tile_yx} of 128 px")
    pixels = preprocess(frame)
    reference = learn(pixels[top : top + TILE_PX, left : left + TILE_PX], bank)
    distance, variance = distance_map(pixels, reference), box_variance(pixels)
    broken = symmetry_mask(distance)
    empty = variance_mask(variance, reference.lower_bound)
    return PublishedMaps(distance, variance, broken, empty, fuse_masks(broken, empty))
