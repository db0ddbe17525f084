"""Frames of two parts, from what the simulator draws."""

import numpy as np
from numpy.typing import NDArray

from support.crystals import Image, specimen


def rendered(
    crystal: str, *, rotation_deg: float, seed: int, shape_yx: tuple[int, int] = (512, 512)
) -> NDArray[np.float64]:
    """Brightness of a simulated crystal, of mean one and next to no noise."""
    pixels, _ = specimen(
        crystal, shape_yx=shape_yx, rotation_deg=rotation_deg, seed=seed, dose_e_per_ang2=2e5
    )
    image = np.maximum(pixels.astype(np.float64) - 100.0, 0.0)
    scaled: NDArray[np.float64] = image / image.mean()
    return scaled


def counted(mean: NDArray[np.floating], counts: float, *, seed: int) -> Image:
    """Poisson counts, so many per pixel where the mean is one."""
    drawn: Image = np.random.default_rng(seed).poisson(counts * mean).astype(np.float32)
    return drawn


def beyond_line(
    shape_yx: tuple[int, ...], angle_rad: float, offset_px: float
) -> NDArray[np.float64]:
    """How far each pixel is beyond a straight line that passes the centre at an offset."""
    y, x = np.indices(shape_yx) - (np.array(shape_yx)[:, None, None] - 1) / 2
    beyond: NDArray[np.float64] = np.sin(angle_rad) * y + np.cos(angle_rad) * x - offset_px
    return beyond


def amorphous(seed: int, shape_yx: tuple[int, int], period_px: float) -> NDArray[np.float64]:
    """Noise of variance one with a broad ring in its spectrum, where a crystal's spots would be."""
    noise = np.random.default_rng(seed).normal(size=shape_yx)
    gy, gx = np.fft.fftfreq(shape_yx[0])[:, None], np.fft.rfftfreq(shape_yx[1])
    ring = np.exp(-0.5 * ((np.hypot(gy, gx) * period_px - 1) / 0.3) ** 2)
    grains: NDArray[np.float64] = np.fft.irfft2(np.fft.rfft2(noise) * ring, shape_yx)
    return grains / float(grains.std())
