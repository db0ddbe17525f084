"""Scheme two as published: a one-class machine on the windows of a frame, fitted to that frame.

Slow, and for comparison only; this is one of the two places of the package with scikit-learn.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.svm import OneClassSVM

from latticewatch.detectors.patterson.fringes import (
    bright_columns,
    filtered_fringes,
    fringe_windows,
    patterson_maps,
)
from latticewatch.detectors.patterson.grouping import split
from latticewatch.detectors.patterson.nu import knee, separation_curve

# Two domains are two crowds: the curve rises up to the smaller one's share and beyond, where
# scheme one, with few defects, ends at 0.1.
_NU_GRID = (0.05, 0.6, 12)
_VARIANCE_KEPT = 0.98
_FEWEST_WINDOWS = 60


@dataclass(frozen=True, slots=True)
class FringeDomains:
    """What the published method says of one reflection.

    Attributes
    ----------
    columns_px_yx : (M, 2)
        Columns with a whole window.
    decision : (M,)
        Of the machine, fitted to these very windows; below 0 is an outlier.
    is_normal : (M,) bool
        By the mixture of two normal laws on the histogram of decisions, not by their sign.
    nu
        At the knee of D(nu).
    separation
        Ashman's, of the two laws.
    n_components
        Principal components kept.
    """

    columns_px_yx: NDArray[np.float64]
    decision: NDArray[np.float64]
    is_normal: NDArray[np.bool_]
    nu: float
    separation: float
    n_components: int


def fit_fringes(
    frame: NDArray[np.float32], g_per_px: tuple[float, float], nu: float | None = None
) -> FringeDomains:
    """Fit the published scheme two to a frame, for one reflection.

    It separates domains only with a reflection of the smaller one: windows without fringes are
    all alike, and the machine takes the densest crowd for normal.

    Parameters
    ----------
    frame : (H, W)
        Finite; columns bright.
    g_per_px
        [gy, gx], cycles per pixel, gx >= 0.
    nu
        None for the knee of D(nu).

    Raises
    ------
    ValueError
        Too few columns have a whole window.
    """
    period_px = 1.0 / float(np.hypot(*g_per_px))
    columns = bright_columns(frame, period_px)
    windows, whole = fringe_windows(filtered_fringes(frame, g_per_px), g_per_px, columns)
    if len(windows) < _FEWEST_WINDOWS:
        raise ValueError(f"{len(windows)} windows of fringes, at least {_FEWEST_WINDOWS} needed")
    pca = PCA(n_components=_VARIANCE_KEPT, svd_solver="full")
    z = pca.fit_transform(patterson_maps(windows))
    gamma = 1.0 / (z.shape[1] * max(float(z.var()), float(np.finfo(float).tiny)))

    def decide(with_nu: float) -> NDArray[np.float64]:
        machine = OneClassSVM(nu=with_nu, gamma=gamma).fit(z)
        decisions: NDArray[np.float64] = machine.decision_function(z)
        return decisions

    if nu is None:
        grid = np.linspace(*_NU_GRID)
        curve = separation_curve(decide, grid)
        nu = float(grid[knee(grid, curve)]) if np.isfinite(curve).sum() >= 3 else float(grid[0])
    decision = decide(nu)
    law = split(decision)
    return FringeDomains(
        columns[whole], decision, _is_upper(decision, law), nu, float(law[5]), z.shape[1]
    )


def _is_upper(values: NDArray[np.float64], law: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which values belong to the higher of two laws."""
    share, low, low_width, high, high_width = law[:5]
    if not np.isfinite(law).all():
        return np.ones(len(values), bool)
    log_low = np.log(share / low_width) - 0.5 * np.square((values - low) / low_width)
    log_high = np.log((1 - share) / high_width) - 0.5 * np.square((values - high) / high_width)
    # A wide law has its tails on both sides of a narrow one.
    upper: NDArray[np.bool_] = np.where(
        values <= low, False, np.where(values >= high, True, log_high > log_low)
    )
    return upper
