"""The image of columns under a Gaussian probe: expected brightness, without noise."""

from math import ceil

import numpy as np
from numpy.typing import NDArray

from latticewatch.simulator.jit import compiled

N_PHASES = 64
"""Sub-pixel places of the tabulated profile: none is more than 1/128 px off."""

REACH_SIGMAS = 4.2
"""Beyond this a column adds less than 2e-4 of its peak."""


def tabulate_profile(sigma_px: float) -> NDArray[np.float32]:
    """Sample a unit Gaussian at every sub-pixel phase.

    Parameters
    ----------
    sigma_px
        Standard deviation.

    Returns
    -------
    (N_PHASES + 1, 2 reach + 2)
        Row p is centred p / N_PHASES px to the right of sample `reach`.

    Examples
    --------
    >>> profile = tabulate_profile(2.0)
    >>> profile.shape, float(profile[0].max())
    ((65, 20), 1.0)
    """
    reach = ceil(REACH_SIGMAS * sigma_px)
    x = np.arange(-reach, reach + 2, dtype=np.float64)
    phase = np.arange(N_PHASES + 1)[:, None] / N_PHASES
    return np.exp(-0.5 * ((x - phase) / sigma_px) ** 2).astype(np.float32)


@compiled
def draw_columns(
    pixel_yx: NDArray[np.float64],
    peaks: NDArray[np.float32],
    profile: NDArray[np.float32],
    row_shift_px: NDArray[np.float32],
    sigma_px: float,
    out: NDArray[np.float32],
) -> None:
    """Add the image of every column to a frame.

    Parameters
    ----------
    pixel_yx : (N, 2)
        Where the columns are; those outside reach in with their skirts.
    peaks : (N,)
        Brightness at the centre.
    profile
        From `tabulate_profile` with the same `sigma_px`.
    row_shift_px : (H,)
        How far each row is displaced to the right.
    sigma_px
        Standard deviation.
    out : (H, W)
        The background on entry. The caller owns it.
    """
    height, width = out.shape
    n_samples = profile.shape[1]
    n_phases = profile.shape[0] - 1
    reach = (n_samples - 2) // 2
    for column in range(len(peaks)):
        y, x = pixel_yx[column, 0], pixel_yx[column, 1]
        # Row jitter moves a column sideways by a few pixels at most, hence the 100.
        if peaks[column] == 0.0 or not (-reach - 100.0 < x < width + reach + 100.0):
            continue
        for row in range(max(0, int(np.ceil(y - reach))), min(height, int(y + reach) + 1)):
            weight = np.float32(peaks[column] * np.exp(-0.5 * ((row - y) / sigma_px) ** 2))
            shifted = x + row_shift_px[row]
            whole = int(np.floor(shifted))
            phase = int((shifted - whole) * n_phases + 0.5)
            first = max(0, whole - reach)
            stop = min(width, whole - reach + n_samples)
            if first >= stop:
                continue
            # Slices of equal length: with indices computed inside, the loop does not vectorise.
            segment = out[row, first:stop]
            samples = profile[phase, first - (whole - reach) :]
            for k in range(len(segment)):
                segment[k] += weight * samples[k]
