"""The net of reciprocal vectors that explains most of a frame's spectral peaks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.spectrum import HIGHEST_CYCLES_PX, Peaks
from latticewatch.kernels.peaks import indexed_weight

# Limits of the hypothesis search, from the prototype of the reference-cell method, where one
# setting served every simulated and real image tried.
_FEWEST_PEAKS = 3
_SEED_PEAKS = 14  # strongest peaks that may span a hypothesis by themselves
_SEED_PAIRS = 8  # strongest peaks whose sums and differences may, too
_LEAST_SUM_CYCLES_PX = 0.012  # shorter sums are the distance of two halves of one peak
_TOLERANCE_BINS = 1.6
_HIGHEST_INDEX = 6
_LEAST_AREA = 12.0  # tolerance squared; smaller, a net of reciprocal vectors indexes anything
_COST_OF_CHANCE = 1.5
_COST_OF_DENSITY = 0.02  # per node in reach: of two nets that explain as much, the simpler


@dataclass(frozen=True, slots=True)
class Net:
    """A net and the peaks on it.

    Attributes
    ----------
    reciprocal_per_px : (2, 2)
        Rows [gy, gx], cycles per pixel; not reduced.
    hit : (N,)
        Which of the peaks it indexes.
    strength
        Log power indexed, less what chance would index, less the two strongest rows of
        reflections: two sets of fringes that cross explain so much without a lattice.
    """

    reciprocal_per_px: NDArray[np.float64]
    hit: NDArray[np.bool_]
    strength: float


def best_net(peaks: Peaks, side_px: int) -> Net | None:
    """Net of the best score: log power of the peaks indexed beyond chance.

    Every pair of strong peaks, of their sums and differences, is a hypothesis. The best is tried
    once more with each single peak, which finds the cell of a superlattice whose own reflections
    are weak.

    Parameters
    ----------
    peaks
        Of the frame's spectrum.
    side_px
        Shorter side of the frame.
    """
    if len(peaks) < _FEWEST_PEAKS:
        return None
    search = _Search(peaks, _TOLERANCE_BINS / side_px)
    first = search.best(_pairs(_seeds(peaks.g_per_px)))
    if first is None:
        return None
    steps = np.concatenate([first, [first[0] + first[1], first[0] - first[1]]])
    grown = np.array([[g, step] for g in peaks.g_per_px for step in steps])
    best = search.best(np.concatenate([first[None], grown]))
    if best is None:
        return None
    strength = search.strength(best)
    refined = _refine(best, peaks, search.tolerance)
    return None if refined is None else Net(refined[0], refined[1], strength)


@dataclass(frozen=True, slots=True)
class _Search:
    """Peaks, and how far from a node one may lie."""

    peaks: Peaks
    tolerance: float

    def best(self, bases: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Basis (2, 2) of highest score, the first of equals."""
        area = np.abs(bases[:, 0, 0] * bases[:, 1, 1] - bases[:, 0, 1] * bases[:, 1, 0])
        bases = bases[area > _LEAST_AREA * self.tolerance**2]
        if not len(bases):
            return None
        chosen: NDArray[np.float64] = bases[int(np.argmax(self.scores(bases)))]
        return chosen

    def scores(self, bases: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log power indexed (B,), less chance and density."""
        weight, area = self.peaks.weight, np.abs(np.linalg.det(bases))
        total = np.empty(len(bases))
        indexed_weight(bases, self.peaks.g_per_px, weight, self.tolerance, _HIGHEST_INDEX, total)
        chance = np.minimum(0.95, np.pi * self.tolerance**2 / area)
        nodes = np.pi * HIGHEST_CYCLES_PX**2 / area / 2
        score: NDArray[np.float64] = (
            total - _COST_OF_CHANCE * chance * weight.sum() - _COST_OF_DENSITY * nodes
        )
        return score

    def strength(self, basis: NDArray[np.float64]) -> float:
        """Score of a basis without its two strongest rows of reflections."""
        whole, miss = _indices(self.peaks.g_per_px, basis)
        hit = (miss < self.tolerance) & (np.abs(whole).max(axis=1) <= _HIGHEST_INDEX)
        rows: dict[tuple[int, int], float] = {}
        for (h, k), weight in zip(whole[hit].astype(int), self.peaks.weight[hit], strict=True):
            divisor = int(np.gcd(h, k)) * (-1 if (h, k) < (0, 0) else 1) or 1
            row = (int(h) // divisor, int(k) // divisor)
            rows[row] = rows.get(row, 0.0) + float(weight)
        explained = sum(sorted(rows.values())[-2:])
        return float(self.scores(basis[None])[0]) - explained


def _seeds(g_per_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vectors (S, 2) that may span a net: strong peaks, sums and differences of the strongest."""
    strongest = g_per_px[:_SEED_PAIRS]
    one, other = np.tril_indices(len(strongest), -1)
    sums = np.concatenate([strongest[one] - strongest[other], strongest[one] + strongest[other]])
    sums = sums[np.linalg.norm(sums, axis=1) > _LEAST_SUM_CYCLES_PX]
    return np.concatenate([g_per_px[:_SEED_PEAKS], sums])


def _pairs(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    one, other = np.triu_indices(len(vectors), 1)
    return np.stack([vectors[one], vectors[other]], axis=1)


def _indices(
    g_per_px: NDArray[np.float64], basis: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nearest whole indices (N, 2) and the distance from that node (N,)."""
    whole = np.round(g_per_px @ np.linalg.inv(basis).astype(np.float64))
    return whole, np.linalg.norm(g_per_px - whole @ basis, axis=1)


def _refine(
    basis: NDArray[np.float64], peaks: Peaks, tolerance: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]] | None:
    """Weighted least squares over every indexed peak, three rounds."""
    hit = np.zeros(len(peaks), bool)
    root = np.sqrt(peaks.weight)[:, None]
    for _ in range(3):
        whole, miss = _indices(peaks.g_per_px, basis)
        hit = (miss < tolerance) & (np.abs(whole).sum(axis=1) > 0)
        if np.linalg.matrix_rank(whole[hit]) < 2:
            return None
        basis = np.linalg.lstsq(
            whole[hit] * root[hit], peaks.g_per_px[hit] * root[hit], rcond=None
        )[0]
    return (basis, hit) if abs(np.linalg.det(basis)) > 1e-9 else None
