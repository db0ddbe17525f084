"""Amplitude and phase of reflections from place to place: small inverse transforms round each."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

from latticewatch.detectors.patterson.friedel import Spectrum, Spots

_REACH_WIDTHS = 3.5  # the mask is 0.2 % of its peak there
_STEP_SHARE = 0.6  # of the resolution: between places the maps are as good as linear


@dataclass(frozen=True, slots=True)
class BraggMaps:
    """What reflections look like on a grid of places.

    Attributes
    ----------
    values : (R, h, w) complex64
        Amplitude and phase of exp(2 pi i g.r); a wave a cos(2 pi g.r + p) has the value
        a exp(i p) / 2.
    g_per_px : (R, 2)
        Cycles per pixel.
    noise : (R,)
        Root mean square amplitude that noise alone would have.
    strength : (R,)
        Of the spots.
    y_px : (h,)
    x_px : (w,)
        The places, all inside the frame.
    resolution_px
        Standard deviation of the Gaussian that a value is the average over.
    """

    values: NDArray[np.complex64]
    g_per_px: NDArray[np.float64]
    noise: NDArray[np.float64]
    strength: NDArray[np.float64]
    y_px: NDArray[np.float64]
    x_px: NDArray[np.float64]
    resolution_px: float

    @property
    def amplitude(self) -> NDArray[np.float32]:
        """Modulus (R, h, w)."""
        amplitude: NDArray[np.float32] = np.abs(self.values)
        return amplitude

    @property
    def step_px_yx(self) -> tuple[float, float]:
        """Distance of neighbouring places."""
        return float(self.y_px[1] - self.y_px[0]), float(self.x_px[1] - self.x_px[0])

    @property
    def cell_px2(self) -> float:
        """Area that a place stands for."""
        return self.step_px_yx[0] * self.step_px_yx[1]


def bragg_maps(spectrum: Spectrum, spots: Spots, width_per_px: float) -> BraggMaps:
    """Filter each spot with a Gaussian mask and transform back, on few places.

    Equal to the full inverse transform at these places, since nothing outside the small grid
    passes the mask; then divided by the part of the Gaussian that lies on the frame.

    Parameters
    ----------
    spectrum
        Of the frame.
    spots
        The reflections.
    width_per_px
        Standard deviation of the mask, cycles per pixel.
    """
    padded = np.array(spectrum.padded_yx)
    resolution_px = 1.0 / (2.0 * np.pi * width_per_px)
    n_yx = [_n_places(int(n), width_per_px, resolution_px) for n in padded]
    bands = np.zeros((len(spots), *n_yx), np.complex64)
    center = np.round(spots.g_per_px * padded).astype(int)
    for band, wave, middle in zip(bands, spots.g_per_px, center, strict=True):
        _cut_band(spectrum, wave, middle, width_per_px, band)
    # The transform's own 1 / n is the decimated one: bring it to the full frame's.
    scale = np.float32(n_yx[0] * n_yx[1] / float(padded.prod()))
    values = fft.ifft2(bands, axes=(1, 2), overwrite_x=True) * scale
    places = [np.arange(n) * (p / n) for n, p in zip(n_yx, padded, strict=True)]
    shares, inside = [], []
    for place, n_px in zip(places, spectrum.shape_yx, strict=True):
        inside.append(place <= n_px - 1)
        shares.append(_share_inside(place[inside[-1]], n_px, resolution_px))
    # Demodulated at a whole bin; the rest of the wave's own phase is taken out here.
    y_px, x_px = places[0][inside[0]], places[1][inside[1]]
    rest = spots.g_per_px - center / padded
    turn_y = np.exp(-2j * np.pi * rest[:, :1] * y_px) / shares[0]
    turn_x = np.exp(-2j * np.pi * rest[:, 1:] * x_px) / shares[1]
    values = values[:, : len(y_px), : len(x_px)]
    values = values * turn_y.astype(np.complex64)[:, :, None]
    values *= turn_x.astype(np.complex64)[:, None, :]
    # White noise of that power per wave, through the mask's sum of squares.
    n_waves = np.pi * width_per_px**2 * padded.prod()
    noise = np.sqrt(spots.noise_power * n_waves) / padded.prod()
    # The frame fills part of the padded field only, and so does its noise.
    noise *= np.sqrt(padded.prod() / np.prod(spectrum.shape_yx))
    return BraggMaps(
        values, spots.g_per_px, noise, spots.strength, y_px, x_px, float(resolution_px)
    )


def _n_places(n_padded: int, width_per_px: float, resolution_px: float) -> int:
    """Places along an axis: every wave of the mask fits, and the resolution is sampled."""
    n_band = 2 * int(np.ceil(_REACH_WIDTHS * width_per_px * n_padded)) + 1
    n_sampled = int(np.ceil(n_padded / (_STEP_SHARE * resolution_px)))
    return int(fft.next_fast_len(max(n_band, n_sampled)))


def _share_inside(
    place_px: NDArray[np.float64], n_px: int, resolution_px: float
) -> NDArray[np.float64]:
    """Part of a Gaussian round each place that lies on the frame, along one axis."""
    above = special.ndtr((n_px - 0.5 - place_px) / resolution_px)
    share: NDArray[np.float64] = above - special.ndtr((-0.5 - place_px) / resolution_px)
    return share


def _cut_band(
    spectrum: Spectrum,
    wave_per_px: NDArray[np.float64],
    middle: NDArray[np.int64],
    width_per_px: float,
    out: NDArray[np.complex64],
) -> None:
    """Copy the masked neighbourhood of one wave to the corner of a small grid of zeros."""
    axes = []
    for axis, n_padded in enumerate(spectrum.padded_yx):
        reach = min(
            int(np.ceil(_REACH_WIDTHS * width_per_px * n_padded)), (out.shape[axis] - 1) // 2
        )
        offset = np.arange(-reach, reach + 1)
        bins = middle[axis] + offset
        miss = (bins / n_padded - wave_per_px[axis]) / width_per_px
        axes.append((offset % out.shape[axis], bins, np.exp(-0.5 * miss**2).astype(np.float32)))
    (to_y, ky, mask_y), (to_x, kx, mask_x) = axes
    n_rows, n_columns = spectrum.values.shape
    known = kx < n_columns
    right, left = known & (kx >= 0), kx < 0
    band = np.zeros((len(ky), len(kx)), np.complex64)
    band[:, right] = spectrum.values[np.ix_(ky % n_rows, kx[right])]
    band[:, left] = spectrum.values[np.ix_(-ky % n_rows, -kx[left])].conj()
    band *= mask_y[:, None] * mask_x
    out[np.ix_(to_y, to_x)] = band
