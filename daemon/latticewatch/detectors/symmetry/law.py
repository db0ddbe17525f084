"""From distances to p-values: counted where cells of the reference tell, a fitted tail beyond."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.calibration import quantile_of

# Shares of clean cells beyond each knot of the table, from all to where the tail begins.
N_KNOTS = 48
_LEAST_BEYOND = 12  # independent ones that a tail is fitted to
_TAIL_SHARE = 0.02
_MOST_TAIL_SHARE = 0.25
_MOST_SHAPE = 0.3
# Standard deviations of the logarithm: what a field that varies slowly has, 6 to 7, is within, and
# a second crystal at the lowest dose tried, 15, beyond.
_STRANGE = 8.0
_SMALLEST_P = 1e-300


@dataclass(frozen=True, slots=True)
class DistanceLaw:
    """How distances of clean cells scatter.

    Attributes
    ----------
    knots : (N_KNOTS,)
        Distances, rising.
    shares : (N_KNOTS,)
        Of clean cells that lie beyond each, falling; the tail begins at the last.
    tail_scale, tail_shape
        Of a generalised Pareto law of what lies beyond (Pickands, Ann. Statist. 3, 119, 1975).
    n_cells
        Cells that it was learned from.
    """

    knots: NDArray[np.float64]
    shares: NDArray[np.float64]
    tail_scale: float
    tail_shape: float
    n_cells: int

    def p_values(self, distance: NDArray[np.float32]) -> NDArray[np.float64]:
        """Chance that a clean cell lies as far; NaN stays."""
        wanted = distance.astype(np.float64)
        p_value = np.exp(np.interp(wanted, self.knots, np.log(self.shares)))
        far = np.flatnonzero(wanted > self.knots[-1])
        beyond = (wanted.flat[far] - self.knots[-1]) / self.tail_scale
        if self.tail_shape > 0:
            log_tail = -np.log1p(self.tail_shape * beyond) / self.tail_shape
        else:
            log_tail = -beyond
        p_value.flat[far] = np.maximum(self.shares[-1] * np.exp(log_tail), _SMALLEST_P)
        p_value[np.isnan(wanted)] = np.nan
        return np.asarray(p_value, np.float64)

    def distance_at(self, p_value: float) -> float:
        """Distance beyond which a clean cell lies with this chance."""
        if p_value >= self.shares[-1]:
            return float(np.exp(np.interp(-p_value, -self.shares, np.log(self.knots))))
        log_ratio = float(np.log(self.shares[-1] / p_value))
        grown = log_ratio
        if self.tail_shape > 0:
            grown = float(np.expm1(self.tail_shape * log_ratio)) / self.tail_shape
        return float(self.knots[-1]) + self.tail_scale * grown


def fit_law(distances: NDArray[np.float64], cells_per_observation: float = 4.0) -> DistanceLaw:
    """Learn the law of the distances (N,) of clean cells, of which a few may be defects.

    Cells overlap: of `cells_per_observation` one is independent.
    """
    kept = np.sort(distances[distances <= _farthest(distances)])
    n_cells = len(kept)
    n_free = max(1.0, n_cells / cells_per_observation)
    share = min(max(_TAIL_SHARE, _LEAST_BEYOND / n_free), _MOST_TAIL_SHARE)
    shares = np.geomspace(1.0, share, N_KNOTS)
    knots = np.maximum.accumulate(np.quantile(kept, 1.0 - shares))
    knots += np.arange(N_KNOTS) * 1e-9 * max(knots[-1], 1.0)
    beyond = kept[kept > knots[-1]] - knots[-1]
    if not len(beyond):
        beyond = np.array([1e-6 * knots[-1]])
    mean = max(float(beyond.mean()), 1e-6 * float(knots[-1]))
    # Probability-weighted moments (Hosking and Wallis, Technometrics 29, 339, 1987).
    weight = 1.0 - (np.arange(len(beyond)) + 0.65) / len(beyond)
    first = float((weight * beyond).mean())
    shape = 2.0 - mean / (mean - 2.0 * first) if mean > 2.0 * first else 0.0
    shape = min(max(shape, 0.0), _MOST_SHAPE)
    return DistanceLaw(knots, shares, mean * (1.0 - shape), shape, n_cells)


def _farthest(distances: NDArray[np.float64]) -> float:
    """Distance beyond which no clean cell lies, told from the lower third alone.

    Clean tiles may hold a part of another crystal, up to half of their cells.
    """
    ordered = np.log(np.sort(distances))
    low, high = quantile_of(ordered, 0.1), quantile_of(ordered, 0.3)
    # Standard normal quantiles: -1.2816 and -0.5244.
    scale = (high - low) / 0.7572
    return float(np.exp(high + (0.5244 + _STRANGE) * scale))
