"""How far beyond the reference each cell of a symmetry map is, in standard deviations."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

Grid = NDArray[np.float64]

# Between these chances the law of the reference is counted from many cells, and free of defects
# even where a third of the reference was of another domain, which is far.
_COUNTED = (0.4, 0.97)
_FEWEST_CELLS = 30
_ENOUGH_CELLS = 2000
_LEAST_SPREAD = 0.03  # of the logarithm; a frame without noise has none


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the cells of a map say about the crystal.

    Attributes
    ----------
    z : (R, C)
        Standard deviations above the middle of the reference, of the logarithm of the distance.
        NaN where the map is.
    change : (R, C)
        How much of another texture a cell holds, over the middle distance of the reference: the
        distance without what noise alone gives it, zero in the mean of a clean crystal. Second
        moments mix in proportion to area, so it is linear across a boundary.
    """

    z: Grid
    change: Grid


def read_evidence(distance: NDArray[np.float32], p_value: NDArray[np.float64]) -> Evidence | None:
    """Turn distances into normal scores, with the law of the reference read from the p-values.

    Parameters
    ----------
    distance : (R, C)
        Of a map; NaN where masked.
    p_value : (R, C)
        Chance of a clean cell of the reference to lie as far: falls with the distance. Only
        values well inside the counted range are used, and the line through them is carried on,
        so that neither the smallest chance that can be counted nor a reference with a few
        defects limits what stands out.

    Returns
    -------
    Evidence or None
        None where too few cells look like the reference to read its law: nothing can be said.
    """
    lowest, highest = _COUNTED
    # Unlike any real distance: neither says how strange a cell is.
    distance = np.where((distance > 0) & np.isfinite(distance), distance, np.float32(np.nan))
    known = np.flatnonzero((p_value > lowest) & (p_value < highest) & np.isfinite(distance))
    if len(known) < _FEWEST_CELLS:
        return None
    known = known[:: max(len(known) // _ENOUGH_CELLS, 1)]
    normal = special.ndtri(1.0 - p_value.flat[known])
    log = np.log(distance.astype(np.float64))
    off = normal - normal.mean()
    slope = float(off @ log.flat[known]) / max(float(off @ off), 1e-9)
    slope = max(slope, _LEAST_SPREAD)
    middle = float(log.flat[known].mean()) - slope * float(normal.mean())
    z: Grid = (log - middle) / slope
    square = np.square(distance.astype(np.float64) / np.exp(middle)) - 1.0
    change: Grid = np.sqrt(np.maximum(square, 0.0))
    return Evidence(z, change)


def smoothed(grid: NDArray[np.floating], sigma_cells: float, fill: float = np.nan) -> Grid:
    """Average with a Gaussian over each cell's known neighbours; `fill` where there are none."""
    known = np.isfinite(grid)
    reach = {"mode": "constant", "truncate": 3.0}
    weight = ndimage.gaussian_filter(known.astype(np.float32), sigma_cells, **reach)
    total = ndimage.gaussian_filter(
        np.where(known, grid, 0.0).astype(np.float32), sigma_cells, **reach
    )
    mean = np.where(weight > 1e-3, total / np.maximum(weight, 1e-3), fill)
    return mean.astype(np.float64)
