"""Which nu the one-class SVM takes: the knee of a curve; the machine itself is not known here."""

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.patterson.parameters import NU_GRID, NU_RANGE

_TINY = float(np.finfo(np.float32).tiny)  # keeps a division by a span of zero from failing

Decide = Callable[[float], NDArray[np.float64]]
"""Trains with a nu and gives the decision (N,) of each site of the training set."""


def separation_curve(decide: Decide, grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """D(nu): median decision of the normals less that of the outliers, for each nu.

    Parameters
    ----------
    decide
        Called once for each nu.
    grid : (G,)
        Values of nu.

    Returns
    -------
    (G,)
        NaN where a side is empty.
    """
    curve = np.full(len(grid), np.nan)
    for place, nu in enumerate(grid):
        decisions = decide(float(nu))
        if (decisions >= 0).any() and (decisions < 0).any():
            curve[place] = np.median(decisions[decisions >= 0]) - np.median(
                decisions[decisions < 0]
            )
    return curve


def knee(grid: NDArray[np.float64], curve: NDArray[np.float64]) -> int:
    """Index of the point farthest from the chord between the ends, both axes scaled to 0..1.

    Examples
    --------
    >>> knee(np.arange(5.0), np.array([0.0, 3.0, 3.5, 3.8, 4.0]))
    1
    """
    known = np.flatnonzero(np.isfinite(curve))
    x = (grid[known] - grid[known[0]]) / max(np.ptp(grid[known]), _TINY)
    y = (curve[known] - curve[known[0]]) / max(np.ptp(curve[known]), _TINY)
    return int(known[np.argmax(np.abs(y - x * y[-1]))])


def knee_nu(decide: Decide, notes: list[str]) -> float:
    """Nu at the knee of D(nu) on the fixed grid, clamped to its range.

    Parameters
    ----------
    decide
        As for `separation_curve`.
    notes
        Receives a line for everything that makes the choice doubtful.
    """
    grid = np.linspace(*NU_GRID)
    with warnings.catch_warnings():
        # A tiny nu on few sites is said to be infeasible; the curve is NaN there.
        warnings.simplefilter("ignore")
        curve = separation_curve(decide, grid)
    if np.isfinite(curve).sum() < 3:
        notes.append(f"D(nu) is undefined on this reference: nu = {NU_RANGE[0]}")
        return NU_RANGE[0]
    if not np.isfinite(curve).all():
        notes.append("D(nu) is undefined for some nu: one side had no sites")
    place = knee(grid, curve)
    if place in (0, len(grid) - 1):
        notes.append(f"the knee of D(nu) sits at the end of the grid, nu = {grid[place]:.3f}")
    nu = float(np.clip(grid[place], *NU_RANGE))
    if nu != grid[place]:
        notes.append(f"nu = {grid[place]:.3f} at the knee, clamped to {nu}")
    return nu
