"""Populations of column intensities: a small Gaussian mixture, the same result on every run."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

# Starts of the classes in units of the median (patterson.md 3.4), further ones for other species.
_LOW_START, _MIDDLE_START = 0.5, 1.0
_HIGH_STARTS = (1.15, 1.35, 1.7, 2.3)
_TWO_HIGH_STARTS = (1.35, 2.0)
_ROUNDS = 200
_CONVERGED = 1e-8  # of the mean log likelihood
# A class may not be narrower than this share of the spread of all: else it settles on one column.
_LEAST_SPREAD = 0.3
# Two classes are two species if their separation (Ashman 1994) is above the two at which a sum of
# two Gaussians has two peaks. Undoped crystals stayed below 1.9 at all doses.
_CLEARLY_APART = 2.2
# Fewer columns than these are defects of their own, not a population.
_LEAST_SHARE, _FEWEST = 0.015, 8
_FEWEST_COLUMNS = 40
_ALIKE = 1e-9  # of the usual intensity: ratios nearer than this are equal
_VACANCY_BELOW = 0.85  # of the majority (patterson.md 3.4)
_FALSE_VACANCIES = 0.1  # a sublattice of a frame, where there is no class of vacancies


@dataclass(frozen=True, slots=True)
class Population:
    """One class of columns.

    Attributes
    ----------
    ratio
        Mean intensity over that of the majority.
    spread
        Standard deviation, same unit.
    share
        Of the columns, 0..1.
    """

    ratio: float
    spread: float
    share: float


@dataclass(frozen=True, slots=True)
class Split:
    """Columns told apart by intensity.

    Attributes
    ----------
    populations
        Species, the majority first, then by share.
    species : (N,)
        Index of the population of each column; -1 for a vacancy class.
    probability : (N,)
        That the column belongs to that class, 0..1.
    """

    populations: tuple[Population, ...]
    species: NDArray[np.int64]
    probability: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Mixture:
    """Gaussian classes: mean, standard deviation and share of each, (K,)."""

    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    share: NDArray[np.float64]


def split_populations(ratio: NDArray[np.float64]) -> Split:
    """Tell species and vacancies of one sublattice apart.

    One to four classes are fitted; the smallest Bayesian information criterion (Schwarz
    1978) decides how many there are, and a class that is neither clearly apart nor populous is
    given back to the majority. A crystal of one species has one population, at any dose.

    Parameters
    ----------
    ratio : (N,)
        Intensities over their median; finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> pure, doped = rng.normal(1, 0.05, 900), rng.normal(1.4, 0.07, 100)
    >>> [len(split_populations(x).populations) for x in (pure, np.append(pure, doped))]
    [1, 2]
    """
    n = len(ratio)
    if n < _FEWEST_COLUMNS or not np.ptp(ratio) > _ALIKE:
        low = ratio < _VACANCY_BELOW * float(np.median(ratio)) if n else np.zeros(0, bool)
        width = float(ratio.std()) if n else 0.0
        return Split((Population(1.0, width, 1.0),), np.where(low, -1, 0), np.ones(n))
    mixture = _best_mixture(ratio)
    mean, spread = mixture.mean, mixture.spread
    _, belongs = _expect(ratio, mixture)
    major = int(np.argmax(mixture.share))
    home = np.full(len(mean), 0)  # 0: the majority, -1: vacancy, else a species
    kept = [major]
    for one in np.argsort(-mixture.share, kind="stable"):
        if one == major:
            continue
        if mean[one] < _VACANCY_BELOW * mean[major]:
            home[one] = -1
        elif _is_species(int(one), major, mixture, n):
            home[one] = len(kept)
            kept.append(int(one))
    chance = np.stack(
        [belongs[:, home == label].sum(axis=1) for label in (-1, *range(len(kept)))], axis=1
    )
    species = chance.argmax(axis=1) - 1
    # A class of vacancies may be broad and empty; a normal column far below is one all the same.
    species[(species < 0) & (ratio >= _VACANCY_BELOW * mean[major])] = 0
    far_below = (mean[major] - ratio) > -special.ndtri(_FALSE_VACANCIES / n) * spread[major]
    species[(ratio < _VACANCY_BELOW * mean[major]) & far_below] = -1
    # Columns without any intensity have nothing to be compared with.
    unit = mean[major] if mean[major] > 0 else 1.0
    populations = tuple(
        Population(float(mean[one] / unit), float(spread[one] / unit), 0.0) for one in kept
    )
    populations = tuple(
        Population(each.ratio, each.spread, float((species == label).mean()))
        for label, each in enumerate(populations)
    )
    return Split(populations, species, chance[np.arange(n), species + 1])


def _is_species(one: int, major: int, mixture: _Mixture, n: int) -> bool:
    gap = abs(mixture.mean[one] - mixture.mean[major])
    apart = np.sqrt(2) * gap / np.hypot(mixture.spread[one], mixture.spread[major])
    populous = mixture.share[one] >= _LEAST_SHARE and mixture.share[one] * n >= _FEWEST
    return bool(apart > _CLEARLY_APART and populous)


def _best_mixture(ratio: NDArray[np.float64]) -> _Mixture:
    """Mixture with the smallest information criterion."""
    values, counts = _binned(ratio)
    starts: list[tuple[float, ...]] = [(_MIDDLE_START,), (_LOW_START, _MIDDLE_START)]
    starts += [(_MIDDLE_START, high) for high in _HIGH_STARTS]
    starts += [(_LOW_START, _MIDDLE_START, high) for high in _HIGH_STARTS]
    starts += [(_MIDDLE_START, *_TWO_HIGH_STARTS), (_LOW_START, _MIDDLE_START, *_TWO_HIGH_STARTS)]
    middle = float(np.median(ratio))
    fits = [_fit(values, counts, middle * np.array(start)) for start in starts]
    criteria = [
        (3 * len(mixture.mean) - 1) * np.log(len(ratio)) - 2 * log_likelihood
        for mixture, log_likelihood in fits
    ]
    return fits[int(np.argmin(criteria))][0]


def _binned(ratio: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values and how many columns have each, so fine that no class notices.

    Twenty bins to a standard deviation change its square by a part in 5000, and thousands of
    columns become a few hundred numbers: 1.5 s for 4700 columns, now 0.05.
    """
    width = max(_usual_spread(ratio) / 20.0, float(np.ptp(ratio)) / 4000.0)
    bins = np.floor((ratio - ratio.min()) / width).astype(np.int64)
    counts = np.bincount(bins).astype(np.float64)
    sums = np.bincount(bins, ratio)
    held = counts > 0
    return sums[held] / counts[held], counts[held]


def _usual_spread(ratio: NDArray[np.float64]) -> float:
    centre = float(np.median(ratio))
    usual = 1.4826 * float(np.median(np.abs(ratio - centre)))
    # Where more than half are equal: so narrow that the others still have a likelihood.
    return max(usual, float(np.ptp(ratio)) / 1000.0)


def _fit(
    values: NDArray[np.float64], counts: NDArray[np.float64], start: NDArray[np.float64]
) -> tuple[_Mixture, float]:
    """Expect and maximise from this start (Dempster 1977); empty classes are dropped."""
    usual = _usual_spread(np.repeat(values, counts.astype(np.int64)))
    mixture = _Mixture(
        start.astype(np.float64),
        np.full(len(start), usual),
        np.full(len(start), 1.0 / len(start)),
    )
    before = -np.inf
    for _ in range(_ROUNDS):
        log_each, belongs = _expect(values, mixture)
        belongs = belongs * counts[:, None]
        weight = belongs.sum(axis=0)
        alive = weight > 0.5  # less than half a column: nobody is there
        belongs, weight = belongs[:, alive], weight[alive]
        mean = values @ belongs / weight
        spread = np.sqrt((np.square(values[:, None] - mean) * belongs).sum(axis=0) / weight)
        mixture = _Mixture(mean, np.maximum(spread, _LEAST_SPREAD * usual), weight / weight.sum())
        now = float(log_each @ counts / counts.sum())
        if alive.all() and now - before < _CONVERGED:
            break
        before = now
    log_each, _ = _expect(values, mixture)
    return mixture, float(log_each @ counts)


def _expect(
    values: NDArray[np.float64], mixture: _Mixture
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log likelihood of each value (N,), and the class that it belongs to (N, K), in shares."""
    z = (values[:, None] - mixture.mean) / mixture.spread
    parts = np.log(mixture.share / mixture.spread) - 0.5 * z * z - 0.5 * np.log(2 * np.pi)
    top = parts.max(axis=1, keepdims=True)
    log_each = top[:, 0] + np.log(np.exp(parts - top).sum(axis=1))
    return log_each, np.exp(parts - log_each[:, None])
