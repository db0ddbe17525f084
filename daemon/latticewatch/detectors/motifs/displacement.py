"""How far the column of each site is from the middle of its patch, whichever way."""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_WIDTHS = 1.5  # radius in which a column is looked at


def column_dipoles(patches: NDArray[np.float32], sigma_px: float) -> Values:
    """Fit the gradient of a Gaussian column to the middle of each patch.

    Parameters
    ----------
    patches : (N, side, side)
        Centred on the sites.
    sigma_px
        Width of a column.

    Returns
    -------
    (N, 2)
        [y, x]: to first order height times displacement over width. What the neighbours of a site
        put there is in it, too.
    """
    side = patches.shape[1]
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    inside = np.hypot(y, x) <= max(_WIDTHS * sigma_px, 1.5)
    bell = np.exp(-0.5 * (y * y + x * x) / sigma_px**2)[inside] / sigma_px
    slopes = np.stack([bell * y[inside], bell * x[inside]], axis=1)
    fitted: Values = np.nan_to_num(patches[:, inside].astype(np.float64)) @ slopes
    fitted /= np.square(slopes).sum(axis=0)
    return fitted


def displacement_of(
    members: NDArray[np.bool_], ordinary: NDArray[np.bool_], dipoles: Values
) -> float:
    """Rms dipole of a class beyond that of ordinary sites: each member may point another way.

    Parameters
    ----------
    members, ordinary : (N,)
        Sites of the class, and pristine ones of its sublattice.
    dipoles : (N, 2)
        From `column_dipoles`.
    """
    off = dipoles - dipoles[ordinary].mean(axis=0)
    square = np.square(off).sum(axis=1)
    return float(np.sqrt(max(0.0, square[members].mean() - square[ordinary].mean())))
