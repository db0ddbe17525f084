"""Two normal laws under one histogram."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel

N_RESULTS = 6


@kernel
def _best_cut(counts: NDArray[np.float64]) -> int:
    """Return the last bin of the lower class that leaves the classes farthest apart (Otsu 1979)."""
    total, moment = 0.0, 0.0
    for bin_ in range(len(counts)):
        total += counts[bin_]
        moment += counts[bin_] * bin_
    below, below_moment = 0.0, 0.0
    best, best_spread = 0, -1.0
    for bin_ in range(len(counts) - 1):
        below += counts[bin_]
        below_moment += counts[bin_] * bin_
        if below <= 0.0 or below >= total:
            continue
        spread = (moment * below / total - below_moment) ** 2 / (below * (total - below))
        if spread > best_spread:
            best, best_spread = bin_, spread
    return best


@kernel
def two_normals(counts: NDArray[np.float64], n_rounds: int, out: NDArray[np.float64]) -> None:
    """Fit a mixture of two normal laws to a histogram by expectation maximisation.

    The start is the cut of Otsu, so that equal histograms give equal results.

    Parameters
    ----------
    counts : (B,)
        Not negative.
    n_rounds
        Rounds of expectation maximisation.
    out : (6,)
        Receives share of the lower law, mean and standard deviation of the lower, mean and
        standard deviation of the higher law, in bins (the centre of the first is 0), and
        Ashman's separation sqrt(2) |m1 - m2| / sqrt(s1^2 + s2^2) (Ashman et al., Astron. J. 108,
        2348, 1994). NaN where fewer than two bins hold anything.
    """
    out[:] = np.nan
    total = counts.sum()
    n_filled = 0
    for bin_ in range(len(counts)):
        n_filled += counts[bin_] > 0
    if n_filled < 2:
        return
    cut = _best_cut(counts)
    sums = np.zeros((2, 3))
    for bin_ in range(len(counts)):
        law = 0 if bin_ <= cut else 1
        sums[law, 0] += counts[bin_]
        sums[law, 1] += counts[bin_] * bin_
        sums[law, 2] += counts[bin_] * bin_ * bin_
    share, mean, spread = np.empty(2), np.empty(2), np.empty(2)
    for turn in range(n_rounds + 1):
        for law in range(2):
            weight = max(sums[law, 0], 1e-9)
            share[law] = weight / total
            mean[law] = sums[law, 1] / weight
            # A bin is a twelfth of a square wide; with less a law could shrink onto one bin.
            spread[law] = np.sqrt(max(sums[law, 2] / weight - mean[law] ** 2, 0.0) + 1.0 / 12.0)
        if turn == n_rounds:
            break
        sums[:] = 0.0
        for bin_ in range(len(counts)):
            if counts[bin_] <= 0.0:
                continue
            # Relative to each other, so that a bin far from both still belongs to one.
            low = (bin_ - mean[0]) / spread[0]
            high = (bin_ - mean[1]) / spread[1]
            odds = share[1] / share[0] * spread[0] / spread[1]
            odds *= np.exp(min(0.5 * (low * low - high * high), 600.0))
            upper = counts[bin_] * (odds / (1.0 + odds))
            lower = counts[bin_] - upper
            sums[0, 0] += lower
            sums[0, 1] += lower * bin_
            sums[0, 2] += lower * bin_ * bin_
            sums[1, 0] += upper
            sums[1, 1] += upper * bin_
            sums[1, 2] += upper * bin_ * bin_
    # A law that has taken all the histogram may leave the other on either side of it.
    first = 0 if mean[0] <= mean[1] else 1
    second = 1 - first
    out[0], out[1], out[2] = share[first], mean[first], spread[first]
    out[3], out[4] = mean[second], spread[second]
    apart = np.sqrt(2.0) * abs(mean[1] - mean[0])
    out[5] = apart / np.sqrt(spread[0] ** 2 + spread[1] ** 2)
