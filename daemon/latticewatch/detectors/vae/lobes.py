"""Strongest residual in the cells of some sites, and its opposite, in levels of the frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Of the lattice period: a lobe is no wider, either way.
LOBE_PERIODS = 0.3


@dataclass(frozen=True, slots=True)
class Lobes:
    """Strongest residual of some cells, and its opposite.

    Attributes
    ----------
    height, opposite : (M,)
        With their signs, levels.
    place_yx, opposite_yx : (M, 2)
        Pixels.
    noise : (M,)
        Of a residual there, levels.
    expected : (M,)
        Level of the usual window at the strongest one, above its background.
    contrast
        Largest level of the usual window less its smallest.
    """

    height: NDArray[np.float64]
    place_yx: NDArray[np.float64]
    opposite: NDArray[np.float64]
    opposite_yx: NDArray[np.float64]
    noise: NDArray[np.float64]
    expected: NDArray[np.float64]
    contrast: float


def expected_at(
    usual: NDArray[np.float32], step_px: float, offset_px_yx: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Level of the usual window (S, S) some way from its middle, above its 5th percentile.

    Parameters
    ----------
    usual
        Levels, `step_px` apart.
    offset_px_yx : (M, 2)
        From the site, pixels; beyond the window its edge.
    """
    size = len(usual)
    at = np.rint(offset_px_yx / step_px).astype(np.intp) + size // 2
    row, column = np.clip(at, 0, size - 1).T
    background = float(np.quantile(usual, 0.05))
    levels: NDArray[np.float64] = usual[row, column].astype(np.float64) - background
    return levels
