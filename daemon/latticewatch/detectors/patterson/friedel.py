"""Which Friedel pairs a frame shows: one transform, and the spots that stand out of it.

Scheme two looks at each of them from place to place, see `bragg`. Nothing is known here of what
the crystal is, and nothing is set: ranges follow from the frame's size.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from latticewatch.kernels.extrema import strict_extrema
from latticewatch.kernels.grids import block_means, subtract_grid
from latticewatch.kernels.smooth import gaussian, gaussian_scratch, gaussian_weights
from latticewatch.kernels.spectra import half_plane_power

SMALLEST_SIDE_PX = 96
"""Below this a frame holds too few places that are independent of each other."""

# Zeros beyond the frame keep the opposite edge out of the maps: two standard deviations of the
# usual resolution, and the amplitude at the edge is that of the frame's own side.
_PADDING_PX = 48
_HIGHEST_CYCLES_PX = 0.2  # 200 of 1024: columns are no sharper than the probe
_MARGIN_CYCLES_PX = 0.05  # flanks of the mask beyond the highest wave
# 15 of 1024 for a frame of any size, and 8 periods: a slower "wave" is background, not lattice.
_LOWEST_CYCLES_PX = 15 / 1024
_FEWEST_PERIODS = 8
_BACKGROUND_BLOCK_PX = 64
_ROWS_AT_ONCE = 32  # what is read and written stays in the cache
_SMOOTHING_BINS = 1.0
_NOISE_BLOCK_BINS = 15
_WINDOW_RADIUS_BINS = 4
# Of log power, smoothed. Over 40 frames of noise alone the highest of all places was 1.5.
_LOWEST_STRENGTH = 1.5
_MOST_SPOTS = 40
# Of the shortest |g|: about one period resolved, as the mask of 6 periods of 1024 does for the
# reflections 41 to 43 periods long of the ZrO2 twin.
_WIDTH_SHARE = 0.14
_FEWEST_WIDTH_BINS = 4.0
_LARGEST_WIDTH_CYCLES_PX = 0.014
_SPAN_STRONGEST = 8  # spots that may say how short the shortest g is
_LARGEST_LEAK = 0.3


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Transform of a frame less its slow background, zeros beyond its right and lower edge.

    Attributes
    ----------
    values : (P, K) complex64
        Row ky modulo P, columns 0 <= kx < K: what is beyond holds no lattice.
    shape_yx
        Of the frame.
    padded_yx
        Of what was transformed; periods per pixel are ky / P.
    """

    values: NDArray[np.complex64]
    shape_yx: tuple[int, int]
    padded_yx: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Spots:
    """Friedel pairs, one wave of each, strongest first.

    Attributes
    ----------
    g_per_px : (R, 2)
        [gy, gx], cycles per pixel, gx >= 0 but for the half-width of a bin.
    strength : (R,)
        Smoothed log power over that of what is around.
    noise_power : (R,)
        Mean |F|^2 of the waves around, as noise alone would have it.
    """

    g_per_px: NDArray[np.float64]
    strength: NDArray[np.float64]
    noise_power: NDArray[np.float64]

    def __getitem__(self, chosen: list[int]) -> "Spots":
        """Only these, in this order."""
        return Spots(self.g_per_px[chosen], self.strength[chosen], self.noise_power[chosen])

    def __len__(self) -> int:
        """How many."""
        return len(self.strength)


class Transformer:
    """Transforms frames of one shape; keeps its memory, for fresh memory doubled the time.

    Parameters
    ----------
    shape_yx
        Of the frames, each side at least `SMALLEST_SIDE_PX`.
    """

    def __init__(self, shape_yx: tuple[int, int]) -> None:
        height, width = shape_yx
        self.shape_yx = shape_yx
        padded = [fft.next_fast_len(n + _PADDING_PX, real=True) for n in shape_yx]
        self._padded_yx = int(padded[0]), int(padded[1])
        self._step_px = min(_BACKGROUND_BLOCK_PX, min(shape_yx) // 3)
        grid_yx = height // self._step_px, width // self._step_px
        self._grid = np.empty(grid_yx, np.float32)
        # Rows are filled up with zeros where they lie, so that the transform need not copy them.
        self._flat = np.zeros((height, self._padded_yx[1]), np.float32)
        highest = _HIGHEST_CYCLES_PX + _MARGIN_CYCLES_PX
        n_columns = min(int(highest * padded[1]) + 1, padded[1] // 2 + 1)
        self._columns = np.empty((self._padded_yx[0], n_columns), np.complex64)

    def __call__(self, frame: NDArray[np.float32]) -> Spectrum:
        """Take the slow background off a frame and transform it; 4.6 ms for 1024 x 1024.

        Parameters
        ----------
        frame : (H, W)
            Finite pixels.

        Returns
        -------
        Spectrum
            Valid until the next call.
        """
        height = len(frame)
        block_means(frame, self._step_px, self._grid)
        subtract_grid(frame, self._grid, self._step_px, self._flat)
        n_columns = self._columns.shape[1]
        # Rows, then only the columns that can hold a reflection: half of the second pass.
        for top in range(0, height, _ROWS_AT_ONCE):
            rows = slice(top, min(top + _ROWS_AT_ONCE, height))
            self._columns[rows] = fft.rfft(self._flat[rows], axis=1)[:, :n_columns]
        self._columns[height:] = 0.0
        values = fft.fft(self._columns, axis=0, overwrite_x=True)
        return Spectrum(values, self.shape_yx, self._padded_yx)


def find_spots(spectrum: Spectrum) -> Spots:
    """List what stands out of the spectrum, strongest first; empty where nothing does.

    Log power, smoothed, less the running median of its surroundings; local maxima of 9 x 9 waves.
    """
    relative, level = _relative_power(spectrum)
    reach_y = len(relative) // 2
    margin = _WINDOW_RADIUS_BINS
    places = np.empty((relative.size // 16, 2), np.int32)
    n_found = strict_extrema(relative, _LOWEST_STRENGTH, _WINDOW_RADIUS_BINS, 1, 1, places)
    places = places[:n_found]
    ky, kx = places[:, 0] - reach_y, places[:, 1] - margin
    cycles = np.hypot(ky / spectrum.padded_yx[0], kx / spectrum.padded_yx[1])
    lowest = max(_LOWEST_CYCLES_PX, _FEWEST_PERIODS / min(spectrum.shape_yx))
    kept = (cycles > lowest) & (cycles < _HIGHEST_CYCLES_PX)
    # Of the column kx = 0 both members of a pair are seen.
    kept &= (kx > 0) | ((kx == 0) & (ky > 0))
    places = places[kept]
    strength = relative[places[:, 0], places[:, 1]]
    order = np.argsort(-strength, kind="stable")[:_MOST_SPOTS]
    places = places[order]
    peak = _centroids(spectrum, places[:, 0] - reach_y, places[:, 1] - margin)
    # The mean of the logarithm of an exponential law lies 0.577 below that of its mean.
    noise = np.exp(level[places[:, 0], places[:, 1]] + 0.5772)
    return Spots(
        peak / np.array(spectrum.padded_yx), strength[order].astype(np.float64), noise.astype(float)
    )


def mask_width_per_px(spots: Spots, shape_yx: tuple[int, int]) -> float:
    """Width of the Gaussian mask round a spot, cycles per pixel: a share of the shortest wave."""
    shortest = float(np.min(np.hypot(*spots.g_per_px[:_SPAN_STRONGEST].T)))
    lowest = _FEWEST_WIDTH_BINS / min(shape_yx)
    return float(np.clip(_WIDTH_SHARE * shortest, lowest, _LARGEST_WIDTH_CYCLES_PX))


def choose_reflections(spots: Spots, width_per_px: float, n_most: int) -> Spots:
    """Take the strongest spots that do not look into each other's masks.

    Parameters
    ----------
    spots
        Of `find_spots`.
    width_per_px
        Of the mask, cycles per pixel.
    n_most
        How many at most.
    """
    g = spots.g_per_px
    kept: list[int] = []
    for spot in range(len(spots)):
        apart = np.minimum(np.hypot(*(g[spot] - g[kept]).T), np.hypot(*(g[spot] + g[kept]).T))
        stronger = np.exp(0.5 * (spots.strength[kept] - spots.strength[spot]))
        leak = stronger * np.exp(-0.5 * (apart / width_per_px) ** 2)
        if (leak > _LARGEST_LEAK).any() or (apart < 2.0 * width_per_px).any():
            continue
        kept.append(spot)
        if len(kept) == n_most:
            break
    return spots[kept]


def _relative_power(spectrum: Spectrum) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Smoothed log power less that of the surroundings, and the latter."""
    reach_y = int(_HIGHEST_CYCLES_PX * spectrum.padded_yx[0]) + _WINDOW_RADIUS_BINS
    margin = _WINDOW_RADIUS_BINS
    n_columns = int(_HIGHEST_CYCLES_PX * spectrum.padded_yx[1]) + 1 + 2 * margin
    n_columns = min(n_columns, spectrum.values.shape[1] + margin)
    power = np.empty((2 * reach_y + 1, n_columns), np.float32)
    half_plane_power(spectrum.values, reach_y, margin, power)
    # NumPy takes the logarithm of eight numbers at once, a kernel of one.
    np.log(np.maximum(power, np.finfo(np.float32).tiny, out=power), out=power)
    smoothed = np.empty_like(power)
    weights = gaussian_weights(_SMOOTHING_BINS)
    gaussian(power, weights, gaussian_scratch(n_columns, weights), smoothed)
    step = min(_NOISE_BLOCK_BINS, *smoothed.shape)
    grid = np.empty((smoothed.shape[0] // step, smoothed.shape[1] // step), np.float32)
    block_means(smoothed, step, grid)
    # A spot fills a few waves of a block, and of nine blocks the median has none.
    grid = ndimage.median_filter(grid, 3, mode="nearest")
    relative = np.empty_like(smoothed)
    subtract_grid(smoothed, grid, step, relative)
    return relative, smoothed - relative


def _centroids(
    spectrum: Spectrum, ky: NDArray[np.int32], kx: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Centroids of the power round some waves (N, 2), in bins."""
    reach = np.arange(-2, 3)
    n_rows, n_columns = spectrum.values.shape
    rows = (ky[:, None] + reach)[:, :, None]
    columns = (kx[:, None] + reach)[:, None, :]
    mirrored = columns < 0
    waves = spectrum.values[
        np.where(mirrored, -rows, rows) % n_rows, np.minimum(np.abs(columns), n_columns - 1)
    ]
    power = np.square(np.abs(waves)).astype(np.float64)
    total = power.sum(axis=(1, 2))
    off_y = (power.sum(axis=2) @ reach) / total
    off_x = (power.sum(axis=1) @ reach) / total
    return np.stack([ky + off_y, kx + off_x], axis=1)
