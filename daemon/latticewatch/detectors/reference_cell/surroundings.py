"""What the columns round a site have in common: what the fit of phase and gain left, or took.

The lattice is locked, and gain and offset are fitted, in windows of a few cells. Where a line of
columns is displaced, or a patch is brighter, the window follows half-way: the strange columns lose
a part of what they show, and the ordinary ones beside them seem displaced the other way. What the
ordinary ones share is therefore not theirs, and says how much the strange ones lost.
"""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.smooth import gaussian, gaussian_scratch, gaussian_weights

# Where fewer columns than this share of the usual number speak, they are believed in part only.
_LEAST_WEIGHT = 0.02


def shared_statistics(
    statistics: NDArray[np.float64],
    strength: NDArray[np.float64],
    is_ordinary: NDArray[np.bool_],
    places_yx: NDArray[np.float64],
    period_px: float,
    window_periods: float,
) -> NDArray[np.float64]:
    """Part of each site's statistics (3, N) that the ordinary columns round it share.

    A change of intensity or place by the same amount moves the statistic of a strong column more
    than that of a weak one. The common amount is fitted by least squares in a Gaussian window.

    Parameters
    ----------
    statistics : (3, N)
        Intensity, displacement along y and x, less what is normal for their like.
    strength : (3, N)
        By how much each statistic answers to the same change, any unit.
    is_ordinary : (N,)
        Columns that have a say.
    places_yx : (N, 2)
        Pixels.
    period_px
        Lattice period, pixels.
    window_periods
        Standard deviation of the window, lattice periods.
    """
    cell = places_yx.T / period_px
    shape = int(cell[0].max()) + 1, int(cell[1].max()) + 1
    corners, weights = _corners(cell, shape)
    smooth = gaussian_weights(window_periods)
    scratch = gaussian_scratch(shape[1], smooth)
    home = _number(cell.astype(np.intp), shape)[is_ordinary]
    summed = np.empty(shape, np.float32)
    shared = np.empty_like(statistics)
    for part, (values, answer) in enumerate(zip(statistics, strength, strict=True)):
        own = answer[is_ordinary]
        at_site = []
        for said in (own * values[is_ordinary], own * own):
            total = np.bincount(home, said, shape[0] * shape[1]).astype(np.float32)
            gaussian(total.reshape(shape), smooth, scratch, summed)
            at_site.append((weights * summed.ravel()[corners]).sum(axis=0))
        least = max(_LEAST_WEIGHT * float(at_site[1].max()), 1e-30)
        shared[part] = answer * at_site[0] / np.maximum(at_site[1], least)
    return shared


def _corners(
    cell: NDArray[np.float64], shape: tuple[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Four blocks (4, N) whose middles are round each place, and how much each counts."""
    first = np.floor(cell - 0.5)
    y, x = cell - 0.5 - first
    corners = np.empty((4, cell.shape[1]), np.intp)
    weights = np.empty((4, cell.shape[1]))
    for k, (down, right) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        block = first.astype(np.intp) + np.array([[down], [right]])
        corners[k] = _number(np.clip(block, 0, np.array(shape)[:, None] - 1), shape)
        weights[k] = (y if down else 1.0 - y) * (x if right else 1.0 - x)
    return corners, weights


def _number(block: NDArray[np.intp], shape: tuple[int, int]) -> NDArray[np.intp]:
    numbers: NDArray[np.intp] = block[0] * shape[1] + block[1]
    return numbers
