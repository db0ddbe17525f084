"""Dopants: columns of a second species, brighter than their like and too many to be defects."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.calibration import MAD_TO_SIGMA
from latticewatch.detectors.reference_cell.explain import Change
from latticewatch.detectors.reference_cell.residue import Residue

# Fewer than these on one sublattice are defects of their own, not a population.
_LEAST_SHARE, _FEWEST = 0.015, 8
# Ashman's separation of two Gaussians, Astronomical Journal 108, 2348 (1994): at 2 their sum has
# two peaks.
_CLEARLY_APART = 2.2
_CERTAIN_LOG_P = float(np.log(1e-3))  # so strange that a dopant is counted as one
_LEAST_RATIO = 1.1


def dopants_among(changes: list[Change], residue: Residue) -> NDArray[np.bool_]:
    """Tell which changes are columns of a brighter species.

    A sublattice has a second species where its bright columns are a population: many, of about
    one ratio, and clearly apart from the others. A column counts as one of them if its ratio is
    nearer to theirs than to one, in units of both spreads.

    Parameters
    ----------
    changes
        From `explain`.
    residue
        That they were found in.

    Returns
    -------
    (C,)
        False for all changes of a crystal of one species.
    """
    label = residue.label[[change.site for change in changes]]
    ratio = np.array([change.intensity_ratio for change in changes])
    bright = np.array([change.kind == "excess" for change in changes], bool) & (ratio > 1)
    certain = bright & (np.array([change.log_p for change in changes]) < _CERTAIN_LOG_P)
    dopant = np.zeros(len(changes), bool)
    for sublattice in np.unique(label[certain]):
        minority = ratio[certain & (label == sublattice)]
        n_sites = np.count_nonzero(residue.label == sublattice)
        if len(minority) < max(_FEWEST, _LEAST_SHARE * n_sites):
            continue
        middle = float(np.median(minority))
        spread = MAD_TO_SIGMA * float(np.median(np.abs(minority - middle)))
        usual = _usual_spread(residue, int(sublattice))
        apart = np.sqrt(2) * (middle - 1) / max(float(np.hypot(spread, usual)), 1e-12)
        if middle < _LEAST_RATIO or apart < _CLEARLY_APART:
            continue
        # Where both laws are equally far away.
        border = 1 + (middle - 1) * usual / max(usual + spread, 1e-12)
        dopant |= bright & (label == sublattice) & (ratio > border)
    return dopant


def _usual_spread(residue: Residue, sublattice: int) -> float:
    """Scatter of the intensity ratio of ordinary columns of a sublattice."""
    same = residue.label == sublattice
    # The intensity statistic is (ratio - 1) times the expected column over its noise.
    norm = np.median(np.sqrt(residue.sums[same, 3]) * residue.expected[same])
    width = np.median(residue.normal[same, 3])
    return float(width / max(float(norm), 1e-12))
