"""What latticewatch.kernels.spectra computes, and full-size filtering, spelled out."""

import numpy as np
from numpy.typing import NDArray


def half_plane_power(
    spectrum: NDArray[np.complex64], reach_y: int, margin_x: int, n_columns: int
) -> NDArray[np.float64]:
    """|F|^2 at -reach_y <= ky <= reach_y, -margin_x <= kx < n_columns."""
    out = np.empty((2 * reach_y + 1, margin_x + n_columns))
    for row in range(len(out)):
        for column in range(out.shape[1]):
            ky, kx = row - reach_y, column - margin_x
            # A real frame: F(-k) is the conjugate of F(k).
            wave = spectrum[ky, kx] if kx >= 0 else spectrum[-ky, -kx].conj()
            out[row, column] = abs(complex(wave)) ** 2
    return out


def filtered(
    padded: NDArray[np.float64], g_per_px: tuple[float, float], width_per_px: float
) -> NDArray[np.complex128]:
    """Whole frame through a Gaussian mask round one wave, not demodulated."""
    spectrum = np.fft.fft2(padded)
    gy, gx = np.fft.fftfreq(padded.shape[0])[:, None], np.fft.fftfreq(padded.shape[1])
    # The nearest of the images of each wave: frequencies come round.
    miss_y = (gy - g_per_px[0] + 0.5) % 1.0 - 0.5
    miss_x = (gx - g_per_px[1] + 0.5) % 1.0 - 0.5
    mask = np.exp(-0.5 * (miss_y**2 + miss_x**2) / width_per_px**2)
    result: NDArray[np.complex128] = np.fft.ifft2(spectrum * mask)
    return result
