"""Peaks of a frame's power spectrum over its noise, whatever the colour of the noise."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from latticewatch.kernels.grids import block_means, taper
from latticewatch.kernels.peaks import N_PEAK, band_peaks, group_medians
from latticewatch.kernels.smooth import gaussian, gaussian_scratch, gaussian_weights

HIGHEST_CYCLES_PX = 0.22
_LOWEST_CYCLES_PX = 0.008  # slower than this is background, not lattice
# What fits fewer times across the frame is no lattice either.
_LOWEST_BINS = 4.0
_SMALLEST_PX = 32  # below, there are hardly more bins than make up one level
_PEAK_POWER = 25.0  # of a noise level that is Exp(1): one noise bin in 7e10 gets there
_PEAK_REACH = 3
_MOST_FOUND = 4096  # only noise that is not levelled has so many
_MOST_PEAKS = 40
_HIGHEST_POWER = 1e5  # beyond, a reflection is no surer
_BACKGROUND_BLOCKS = 48  # along the shorter side
# Blocks: a twentieth of the frame. Narrower, what blocks alias of fringes comes back as a net.
_BACKGROUND_SIGMA = 2.3
# Bins along a side of the squares, and along the strips beside the axes, that share a level. A
# square is larger than the four peaks of a fine net that might fill it; rows and columns that are
# out of step make streaks along an axis, a few bins wide.
_SQUARE_BINS = 16
_STRIP_BINS = 24
_AXIS_BINS = 3
_SECTOR_BINS = 3.0  # at the rim
# Bins of a group that are looked at, evenly spread: the median of 128 is right to an eighth.
_MOST_IN_GROUP = 128
# Of the strongest bin, slow ones included. Frames have noise: what is below is leakage and rounding
# of a drawing without any.
_LEAKAGE = 1e-7


@dataclass(frozen=True, slots=True)
class Peaks:
    """Peaks of a half plane, one of each Friedel pair, strongest first.

    Attributes
    ----------
    g_per_px : (N, 2)
        Centroids [gy, gx], cycles per pixel.
    power : (N,)
        Over the noise.
    """

    g_per_px: NDArray[np.float64]
    power: NDArray[np.float64]

    @property
    def weight(self) -> NDArray[np.float64]:
        """What a peak counts as evidence, (N,): log(1 + power), power 1e5 at most."""
        return np.log1p(np.minimum(self.power, _HIGHEST_POWER))

    def __len__(self) -> int:
        """How many there are."""
        return len(self.power)


@dataclass(frozen=True, slots=True)
class _Groups:
    """Groups of bins that share a level: `order` and `ends` as `group_medians` takes them."""

    label: NDArray[np.int32]
    order: NDArray[np.int32]
    ends: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Band:
    """Bins of a frame's spectrum where reflections are looked for, and their groups."""

    n_rows: int  # above and below gy = 0
    n_columns: int  # right of gx = 0
    used: NDArray[np.bool_]
    rings: _Groups
    inner_ring: NDArray[np.int32]  # ring whose middle lies last before a bin
    beyond_inner: NDArray[np.float32]  # how far behind it, in rings
    columns: _Groups
    rows: _Groups
    sectors: _Groups
    squares: _Groups
    windows: tuple[NDArray[np.float32], NDArray[np.float32]]


def spectral_peaks(frame: NDArray[np.float32]) -> Peaks:
    """Peaks of the power spectrum, each over the noise of its surroundings.

    Noise is levelled by rings of equal |g| (its colour), by rows and columns (scan lines out of
    step), and by small squares (what is left): each takes the median, which peaks do not move.

    Parameters
    ----------
    frame : (H, W)
        Finite. A frame below 32 px has no peaks.
    """
    if min(frame.shape) < _SMALLEST_PX:
        return Peaks(np.empty((0, 2)), np.empty(0))
    # A part of a frame is not contiguous: kernels would be compiled once more for it.
    relative = relative_power(np.ascontiguousarray(frame))
    out = np.empty((_MOST_FOUND, N_PEAK))
    found = out[: band_peaks(relative, _PEAK_POWER, _PEAK_REACH, out)]
    found = found[np.argsort(-found[:, 2], kind="stable")][:_MOST_PEAKS]
    return Peaks(np.ascontiguousarray(found[:, :2] / frame.shape), found[:, 2].copy())


def relative_power(frame: NDArray[np.float32]) -> NDArray[np.float32]:
    """Half plane of the power spectrum in units of the local noise level: noise is Exp(1).

    Of frames from 32 px on. Rows are gy = -K..K, columns gx = 0..M bins, out to
    `HIGHEST_CYCLES_PX`; zero beyond.
    """
    band = _band((frame.shape[0], frame.shape[1]))
    power = _band_power(frame, band)
    floor = np.float32(max(float(power.max()) * _LEAKAGE, float(np.finfo(np.float32).tiny)))
    power = np.where(band.used, power, np.float32(0.0))
    _level_rings(power, band, floor)
    for groups in (band.columns, band.rows, band.sectors, band.squares):
        _level(power, groups, np.float32(1.0))
    return power


def _level_rings(power: NDArray[np.float32], band: _Band, floor: np.float32) -> None:
    """Divide by the noise at each |g|, its logarithm linear between the middles of rings."""
    noise = np.log(np.maximum(_noise(power, band.rings), floor))
    slope = np.diff(noise, append=noise[-1])
    inner = band.inner_ring
    power /= np.exp(noise[inner] + band.beyond_inner * slope[inner])


def _level(power: NDArray[np.float32], groups: _Groups, least: np.float32) -> None:
    """Divide the bins of each group by their noise, or by `least` where that is more."""
    power *= (1 / np.maximum(_noise(power, groups), least))[groups.label]


def _noise(power: NDArray[np.float32], groups: _Groups) -> NDArray[np.float32]:
    """Mean of the noise of each group: the median of an exponential law is ln 2 of it."""
    medians = np.empty(len(groups.ends), np.float32)
    scratch = np.empty(len(groups.order), np.float32)
    group_medians(power.reshape(-1), groups.order, groups.ends, scratch, medians)
    return medians / np.float32(np.log(2))


def _band_power(frame: NDArray[np.float32], band: _Band) -> NDArray[np.float32]:
    side = min(frame.shape)
    # Squares of the largest floats would overflow; the scale means nothing here.
    largest = max(float(frame.max()), -float(frame.min()))
    frame = frame if largest < 1e15 else frame / np.float32(largest)
    step = max(1, side // _BACKGROUND_BLOCKS)
    means = np.empty((frame.shape[0] // step, frame.shape[1] // step), np.float32)
    block_means(frame, step, means)
    weights, slow = gaussian_weights(_BACKGROUND_SIGMA), np.empty_like(means)
    gaussian(means, weights, gaussian_scratch(means.shape[1], weights), slow)
    flat = np.empty_like(frame)
    taper(frame, slow, step, band.windows, flat)
    # The rows of a frame first; of the columns of the result, only those in the band.
    half = fft.rfft(flat, axis=1)[:, : band.n_columns + 1]
    whole = fft.fft(half, axis=0)
    above, below = whole[-band.n_rows :], whole[: band.n_rows + 1]
    out = np.empty((2 * band.n_rows + 1, band.n_columns + 1), np.float32)
    for part, place in ((above, out[: band.n_rows]), (below, out[band.n_rows :])):
        np.add(np.square(part.real), np.square(part.imag), out=place)
    return out


@lru_cache(maxsize=2)  # 30 bytes a bin: 3 MB for 1024 x 1024
def _band(shape: tuple[int, int]) -> _Band:
    height, width = shape
    side = min(shape)
    n_rows, n_columns = int(HIGHEST_CYCLES_PX * height), int(HIGHEST_CYCLES_PX * width)
    y, x = np.mgrid[-n_rows : n_rows + 1, : n_columns + 1]
    radius = np.hypot(y / height, x / width)
    lowest = max(_LOWEST_CYCLES_PX, _LOWEST_BINS / side)
    used = (radius >= lowest) & (radius <= HIGHEST_CYCLES_PX)
    rings = (radius * side).astype(np.int64)
    middle = np.clip(radius * side - 0.5, rings[used].min(), rings[used].max())
    inner = np.floor(middle)
    y_square, x_square = (y + n_rows) // _SQUARE_BINS, x // _SQUARE_BINS
    squares = y_square * (n_columns // _SQUARE_BINS + 1) + x_square
    # Strips get numbers of their own: one bin wide, beside the axes.
    upright = squares.max() + 1 + x * (2 * n_rows + 1) + (y + n_rows) // _STRIP_BINS
    squares = np.where(x <= _AXIS_BINS, upright, squares)
    level = squares.max() + 1 + (y + _AXIS_BINS) * (n_columns + 1) + x // _STRIP_BINS
    squares = np.where(np.abs(y) <= _AXIS_BINS, level, squares)
    # A straight edge makes a streak through the origin: sectors a bin or two wide halfway out.
    n_sectors = max(8, int(np.pi * HIGHEST_CYCLES_PX * side / _SECTOR_BINS))
    sector = ((np.arctan2(y / height, x / width) / np.pi + 0.5) * n_sectors).astype(np.int64)
    return _Band(
        n_rows,
        n_columns,
        used,
        _grouped(rings, used),
        inner.astype(np.int32),
        np.where(used, np.clip(middle - inner, 0, 1), 0).astype(np.float32),
        _grouped(x, used),
        _grouped(y + n_rows, used),
        _grouped(sector, used),
        _grouped(squares, used),
        (np.hanning(height).astype(np.float32), np.hanning(width).astype(np.float32)),
    )


def _grouped(label: NDArray[np.int64], used: NDArray[np.bool_]) -> _Groups:
    """Give the groups numbers without gaps; bins that are not used belong to none."""
    names, dense = np.unique(label, return_inverse=True)
    dense = dense.reshape(label.shape)
    of_used = dense[used]
    order = np.flatnonzero(used)[np.argsort(of_used, kind="stable")]
    sizes = np.bincount(of_used, minlength=len(names))
    label_of = np.repeat(np.arange(len(names)), sizes)
    rank = np.arange(len(order)) - (np.cumsum(sizes) - sizes)[label_of]
    # Member `rank` of `size` is kept where the whole part of rank * share changes.
    share = np.minimum(1.0, _MOST_IN_GROUP / np.maximum(sizes, 1))[label_of]
    kept = np.floor((rank + 1) * share) > np.floor(rank * share)
    order = order[kept]
    ends = np.cumsum(np.bincount(label_of[kept], minlength=len(names)))
    return _Groups(dense.astype(np.int32), order.astype(np.int32), ends.astype(np.int64))
