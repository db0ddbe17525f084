"""Power of a frame's spectrum, laid out as an image round the origin."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel


@kernel
def half_plane_power(
    spectrum: NDArray[np.complex64], reach_y: int, margin_x: int, out: NDArray[np.float32]
) -> None:
    """Power of the waves round the origin, in a half plane and a little beyond.

    Parameters
    ----------
    spectrum : (P, K)
        Two-dimensional transform of a real frame, columns 0 <= kx < K of the half plane.
    reach_y
        Largest |ky|; less than P / 2.
    margin_x
        Columns with kx < 0, from the conjugate side, so that a peak at kx = 0 has both flanks.
        Less than K.
    out : (2 reach_y + 1, margin_x + C)
        Receives |F|^2 at ky = row - reach_y, kx = column - margin_x; C at most K.
    """
    n_rows = spectrum.shape[0]
    n_columns = out.shape[1] - margin_x
    for row in range(len(out)):
        ky = row - reach_y
        waves = spectrum[ky % n_rows]
        right = out[row, margin_x:]
        for column in range(n_columns):
            wave = waves[column]
            right[column] = wave.real * wave.real + wave.imag * wave.imag
        mirrored = spectrum[-ky % n_rows]
        for column in range(margin_x):
            wave = mirrored[margin_x - column]
            out[row, column] = wave.real * wave.real + wave.imag * wave.imag
