"""What latticewatch.kernels.pursuit computes, spelled out with SciPy and plain loops."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from latticewatch.kernels.column_fit import fit_column, move_column
from latticewatch.kernels.columns import correlate_columns

Wide = NDArray[np.float64]
Frame = NDArray[np.float32]


def log_three_squares(x: Wide) -> Wide:
    """Log chance that a chi-square of three degrees of freedom exceeds x, by parts."""
    with np.errstate(divide="ignore"):
        rest = 0.5 * np.log(2 * x / np.pi) - 0.5 * x
    chance: Wide = np.logaddexp(np.log(2) + stats.norm.logsf(np.sqrt(x)), rest)
    return chance


def evened(z: Wide, skewness: Wide) -> Wide:
    """Standard normal number of about equal chance (Wilson and Hilferty), as it is beyond six."""
    near = np.clip(z, -6.0, 6.0)
    skew = np.maximum(skewness, 1e-9)
    root = np.cbrt(np.maximum(1 + 0.5 * skew * near, 1e-3))
    moved: Wide = z - near + 6 / skew * (root - 1) + skew / 6
    return np.where(skewness > 1e-3, moved, z)


def judged(sums: Wide, normal: Wide, log_share: Wide) -> Wide:
    """Three statistics and two log chances of each site."""
    z = (sums[:, :3] / np.sqrt(sums[:, 3:]) - normal[:, :3]) / normal[:, 3:6]
    z[:, 0] = evened(z[:, 0], normal[:, 6])
    intensity = np.log(2) + stats.norm.logsf(np.abs(z[:, 0])) - log_share[:, 0]
    column = log_three_squares(np.square(z).sum(axis=1)) - log_share[:, 1]
    chances = np.minimum(np.stack([intensity, column], axis=1), 0.0)
    return np.concatenate([z, chances], axis=1)


def pursued(
    frame: tuple[Frame, Frame, Frame],
    sites: tuple[Wide, Wide, Wide, Wide],
    lengths_px: tuple[float, float, float],
    worth_log_p: float,
    most: int,
) -> list[Wide]:
    """Changes of a residual, one after the other; every site is judged anew after each."""
    residual, precision, weighted = frame
    columns, sums, normal, log_share = sites
    sigma_px, farthest_px, reach_px = lengths_px
    found = judged(sums, normal, log_share)
    waiting = set(np.flatnonzero(found[:, 3:].min(axis=1) < worth_log_p).tolist())
    changes: list[Wide] = []
    while waiting and len(changes) < most:
        site = min(waiting, key=lambda one: float(found[one, 3:].min()))
        waiting.remove(site)
        before = tuple(columns[site].tolist())
        fit = np.empty(6)
        fit_column(residual, precision, before, sigma_px, farthest_px, fit)
        change = np.array([site, *found[site, [3, 4, 0]], *fit])
        move_column(before, tuple(fit[:3].tolist()), sigma_px, precision, residual, weighted)
        changes.append(change)
        for one in sorted(waiting):
            if np.abs(columns[one, 1:] - columns[site, 1:]).max() > reach_px:
                continue
            correlate_columns(weighted, columns[one : one + 1, 1:], sigma_px, sums[one : one + 1])
            rows = slice(one, one + 1)
            found[one] = judged(sums[rows], normal[rows], log_share[rows])[0]
            if found[one, 3:].min() >= worth_log_p:
                waiting.remove(one)
    return changes
