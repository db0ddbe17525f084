"""What latticewatch.kernels.mixture computes, spelled out."""

import numpy as np
from numpy.typing import NDArray


def best_cut(counts: NDArray[np.float64]) -> int:
    """Last bin of the lower class of Otsu's cut, the first of equal ones."""
    bins = np.arange(len(counts))
    best, cut = -1.0, 0
    for last in range(len(counts) - 1):
        low, high = counts[: last + 1].sum(), counts[last + 1 :].sum()
        if low <= 0 or high <= 0:
            continue
        mean_low = (counts * bins)[: last + 1].sum() / low
        mean_high = (counts * bins)[last + 1 :].sum() / high
        spread = low * high * (mean_high - mean_low) ** 2
        if spread > best * (1 + 1e-12):
            best, cut = spread, last
    return cut


def two_normals(counts: NDArray[np.float64], n_rounds: int) -> NDArray[np.float64]:
    """Share, mean and width of the lower law, mean and width of the higher, separation."""
    if np.count_nonzero(counts) < 2:
        return np.full(6, np.nan)
    bins = np.arange(len(counts), dtype=np.float64)
    upper = (bins > best_cut(counts)).astype(np.float64)
    for turn in range(n_rounds + 1):
        weights = np.stack([counts * (1 - upper), counts * upper])
        total = np.maximum(weights.sum(axis=1), 1e-9)
        share = total / counts.sum()
        mean = (weights * bins).sum(axis=1) / total
        variance = np.maximum((weights * bins**2).sum(axis=1) / total - mean**2, 0)
        spread = np.sqrt(variance + 1 / 12)
        if turn == n_rounds:
            break
        logs = np.log(share / spread)[:, None] - ((bins - mean[:, None]) / spread[:, None]) ** 2 / 2
        upper = 1 / (1 + np.exp(np.clip(logs[0] - logs[1], -600, 600)))
    low, high = np.argsort(mean, kind="stable")
    apart = np.sqrt(2) * abs(mean[1] - mean[0]) / np.hypot(*spread)
    return np.array([share[low], mean[low], spread[low], mean[high], spread[high], apart])
