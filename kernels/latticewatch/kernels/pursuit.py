"""Matching pursuit over columns: the strangest is explained first, its neighbours then judged anew.

Mallat and Zhang, IEEE Trans. Signal Process. 41, 3397 (1993), with one column as the atom.
"""

import math

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.column_fit import fit_column, move_column
from latticewatch.kernels.columns import column_lines, correlate_column
from latticewatch.kernels.jit import kernel

# site, log p of another intensity, log p of another column, its intensity statistic, and what
# `fit_column` gives.
N_CHANGE = 10
_KNOWN = 6.0  # standard deviations out to which the skewness of a law describes its tail
_LN_2 = 0.6931471805599453
_LN_PI = 1.1447298858494002


@kernel
def log_two_sided(z: float) -> float:
    """Log chance that a standard normal number is farther from zero than z, in either direction."""
    distance = abs(z)
    if distance < 36.0:
        return math.log(math.erfc(distance / math.sqrt(2.0)))
    # Leading terms of the tail; erfc would be zero.
    square = distance * distance
    return -0.5 * square - 0.5 * (math.log(square) + _LN_PI - _LN_2) - 1.0 / square


@kernel
def log_three_squares(x: float) -> float:
    """Log chance that a chi-square of three degrees of freedom exceeds x."""
    if not x > 0.0:
        return min(x, 0.0)  # NaN stays NaN
    slope = 0.5 * (_LN_2 + math.log(x) - _LN_PI) - 0.5 * x  # log of sqrt(2 x / pi) exp(-x / 2)
    if x > 1200.0:
        return slope + 1.0 / x
    return math.log(math.erfc(math.sqrt(0.5 * x)) + math.exp(slope))


@kernel
def _evened(z: float, skewness: float) -> float:
    """Return the standard normal number of equal chance, for one whose law is skewed.

    Counts have a longer tail upwards, so that a deficit is rarer than an excess of the same size;
    as for a chi-square (Wilson and Hilferty, PNAS 17, 684, 1931).
    """
    if not skewness > 1e-3:
        return z
    # Farther out nobody knows the law, nor asks: there it goes on in parallel.
    near = min(max(z, -_KNOWN), _KNOWN)
    base = max(1.0 + 0.5 * skewness * near, 1e-3)
    return float(z - near + 6.0 / skewness * (base ** (1.0 / 3.0) - 1.0) + skewness / 6.0)


@kernel
def _judge_column(
    site: int,
    sums: NDArray[np.float64],
    normal: NDArray[np.float64],
    log_share: NDArray[np.float64],
    worth_log_p: float,
    out: NDArray[np.float64],
) -> None:
    """Judge one column; parameters as in `judge_columns`."""
    # By index: four views of a row each took longer than the judgement.
    k = np.uint64(site)
    for part in range(np.uint64(3)):
        width = part + np.uint64(3)
        raw = sums[k, part] / np.sqrt(max(sums[k, width], 1e-30))
        out[k, part] = (raw - normal[k, part]) / normal[k, width]
    out[k, 0] = _evened(out[k, 0], normal[k, 6])
    distance = abs(out[k, 0])
    square = distance * distance + out[k, 1] * out[k, 1] + out[k, 2] * out[k, 2]
    # Less than this no chance is: erfcx is log-convex, of slope -sqrt(2 / pi) at zero, and three
    # squares are more than two. Nine of ten columns need no logarithm.
    intensity = -0.5 * distance * distance - 0.7978845608028654 * distance - log_share[k, 0]
    column = -0.5 * square - log_share[k, 1]
    if not intensity > worth_log_p:
        intensity = log_two_sided(distance) - log_share[k, 0]
    if not column > worth_log_p:
        column = log_three_squares(square) - log_share[k, 1]
    out[k, 3], out[k, 4] = min(intensity, 0.0), min(column, 0.0)


@kernel
def judge_columns(
    sums: NDArray[np.float64],
    normal: NDArray[np.float64],
    log_share: NDArray[np.float64],
    worth_log_p: float,
    out: NDArray[np.float64],
) -> None:
    """Chances of what `match_columns` found, each over its share of the false alarms.

    Parameters
    ----------
    sums : (N, 6)
        From `match_columns`.
    normal : (N, 7)
        Three centres and three widths of the statistics where nothing is wrong, and the skewness of
        the intensity's.
    log_share : (N, 2)
        Log of the share of the false alarms that intensity, and the whole column, may use.
    worth_log_p
        Nobody asks how much more likely than this something is: of such a chance a lower bound is
        given that is above this, too.
    out : (N, 5)
        Receives the three statistics, standard normal where nothing is wrong, log p of the
        intensity (two-sided), and log p of intensity and place together (their squares).
    """
    for k in range(len(sums)):
        _judge_column(k, sums, normal, log_share, worth_log_p, out)


@kernel
def _strangest(judged: NDArray[np.float64], waiting: NDArray[np.int64], n_waiting: int) -> int:
    """Where in the queue the site of least chance stands."""
    best, least = 0, np.inf
    for k in range(n_waiting):
        site = waiting[k]
        log_p = min(judged[site, 3], judged[site, 4])
        if log_p < least:
            best, least = k, log_p
    return best


@kernel
def _queue(judged: NDArray[np.float64], worth_log_p: float, waiting: NDArray[np.int64]) -> int:
    """Fill the sites that are worth a fit; return how many."""
    n_waiting = 0
    for site in range(len(judged)):
        if min(judged[site, 3], judged[site, 4]) < worth_log_p:
            waiting[n_waiting] = site
            n_waiting += 1
    return n_waiting


@kernel
def _judge_near(
    weighted: NDArray[np.float32],
    sites: tuple[
        NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]
    ],
    changed: int,
    limits: tuple[float, float, float],
    tools: tuple[NDArray[np.float32], NDArray[np.float32]],
    queue: tuple[NDArray[np.float64], NDArray[np.int64], int],
) -> int:
    """Judge anew who waits near a site that has changed; return how many still wait."""
    columns, sums, normal, log_share = sites
    sigma_px, reach_px, worth_log_p = limits
    judged, waiting, n_waiting = queue
    k = 0
    while k < n_waiting:
        near = waiting[k]
        y, x = columns[near, 1], columns[near, 2]
        if abs(y - columns[changed, 1]) > reach_px or abs(x - columns[changed, 2]) > reach_px:
            k += 1
            continue
        correlate_column(weighted, (y, x), sigma_px, tools[0], tools[1], sums[near])
        _judge_column(near, sums, normal, log_share, worth_log_p, judged)
        if min(judged[near, 3], judged[near, 4]) < worth_log_p:
            k += 1
        else:
            n_waiting -= 1
            waiting[k] = waiting[n_waiting]
    return n_waiting


@kernel
def pursue(
    frame: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
    sites: tuple[
        NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]
    ],
    lengths_px: tuple[float, float, float],
    worth_log_p: float,
    judged: NDArray[np.float64],
    out: NDArray[np.float64],
) -> int:
    """Explain a residual column by column, strangest first.

    Parameters
    ----------
    frame
        Residual, precision and weighted residual (H, W) each; the first and the last are changed:
        what is explained is taken out.
    sites
        Of each column: expected intensity and place y, x (N, 3); what `match_columns` found (N, 6),
        of which the correlations are kept up to date while a site waits for its turn; `normal`
        (N, 7) and `log_share` (N, 2) of `judge_columns`.
    lengths_px
        Width of a column, how far from its site it may be found, and the distance beyond which
        columns leave each other alone.
    worth_log_p
        Sites of greater chance are left alone.
    judged : (N, 5)
        From `judge_columns`; kept up to date for sites that wait for their turn.
    out : (M, 10)
        Receives for each change its site, log p of the intensity and of the column (the smaller
        counts, of the other there may be a bound), the intensity statistic, and the fitted
        intensity, place and covariance of `fit_column`.

    Returns
    -------
    int
        How many changes there are, at most M.
    """
    residual, precision, weighted = frame
    columns = sites[0]
    sigma_px, farthest_px, reach_px = lengths_px
    limits = sigma_px, reach_px, worth_log_p
    lines = column_lines(sigma_px)
    tools = lines, np.empty((4, 2 * lines.shape[1]), np.float32)
    waiting = np.empty(len(columns), np.int64)
    n_waiting = _queue(judged, worth_log_p, waiting)
    n_changes = 0
    while n_waiting > 0 and n_changes < len(out):
        place = _strangest(judged, waiting, n_waiting)
        site = waiting[place]
        n_waiting -= 1
        waiting[place] = waiting[n_waiting]
        change = out[n_changes]
        n_changes += 1
        change[0] = site
        change[1], change[2], change[3] = judged[site, 3], judged[site, 4], judged[site, 0]
        before = columns[site, 0], columns[site, 1], columns[site, 2]
        fit_column(residual, precision, before, sigma_px, farthest_px, change[4:])
        after = change[4], change[5], change[6]
        move_column(before, after, sigma_px, precision, residual, weighted)
        queue = judged, waiting, n_waiting
        n_waiting = _judge_near(weighted, sites, site, limits, tools, queue)
    return n_changes
