"""Smears: brightness that columns and the ground between them share is no business of a column.

Contamination, a thicker place or a charged one brightens a patch. What is smooth over some periods
the local offset takes; what is not stays, on columns and between them alike.
"""

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.reference_cell.explain import Change
from latticewatch.detectors.reference_cell.residue import Residue
from latticewatch.kernels.bumps import ground_near

_REACH = 0.7  # of a period: the ground of the column's own cell
_CERTAIN = 3.0  # standard errors by which the ground must differ
# Of the change of a column, the part that the ground has, too. Tails of a dopant that its Gaussian
# does not explain, and strain round a vacancy, make up a tenth.
_MOST_SHARED = 0.5
# An even ground under a Gaussian template looks like a column of so many times its height:
# sum(G) / sum(G^2).
_AS_COLUMN = 2.0


def are_smeared(
    places_yx: NDArray[np.float64],
    amplitude: NDArray[np.float64],
    widths: float,
    residue: Residue,
    ground: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Tell at which places the ground differs as a column would have to.

    Parameters
    ----------
    places_yx : (M, 2)
        Pixels of the residue.
    amplitude : (M,)
        Height of the Gaussian that is found there.
    widths
        Of a column, round the place, that are not ground.
    residue
        Of which the residual is looked at.
    ground : (128 * 128,)
        Bins of the cell that are far from all columns.
    """
    found = np.empty((len(places_yx), 2))
    period_px = float(np.sqrt(abs(np.linalg.det(residue.basis_px_yx))))
    reach_px = widths * residue.columns.sigma_px, _REACH * period_px
    frame = residue.residual, residue.precision
    ground_near(frame, residue.bins, ground, places_yx, reach_px, found)
    mean, error = found.T
    smeared: NDArray[np.bool_] = (np.abs(mean) > _CERTAIN * error) & (
        _AS_COLUMN * mean * np.sign(amplitude) > _MOST_SHARED * np.abs(amplitude)
    )
    return smeared


def without_smears(
    changes: list[Change], residue: Residue, ground: NDArray[np.bool_]
) -> list[Change]:
    """Leave out columns of another intensity where the ground round them differs likewise.

    Parameters
    ----------
    changes
        Of which the columns are taken out of the residual.
    residue
        What is left.
    ground : (128 * 128,)
        Bins of the cell that are far from all columns.
    """
    if not changes:
        return []
    sites = [change.site for change in changes]
    more = np.array([change.intensity_ratio - 1.0 for change in changes])
    amplitude = more * residue.expected[sites]
    smeared = are_smeared(residue.places_yx[sites], amplitude, 0.0, residue, ground)
    # Of a displaced column it is the place that is strange, and no smear moves it.
    return [
        change
        for change, it_is in zip(changes, smeared, strict=True)
        if not it_is or change.kind == "displaced"
    ]
