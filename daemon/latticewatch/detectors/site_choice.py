"""Which extrema of a crystal are its sites: chosen from a reference frame, without labels.

A usable rule gives one site per primitive cell, and every site has neighbours at the lattice
vectors. Holes of a honeycomb, columns of a single species and the brighter of two species do.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lattice import Lattice
from latticewatch.detectors.sites import SiteFinder, SiteRule
from latticewatch.kernels.extrema import strict_extrema

# Weight of the number of sites per cell against the share of linked neighbours: twice as many
# sites as cells costs as much as a third of the links.
_COUNT_WEIGHT = 0.5
_ALL = -1e30  # lower than any level; a kernel argument, so not -inf


def choose_site_rule(
    frame: NDArray[np.float32],
    lattice: Lattice,
    *,
    smooth_sigma: float,
    min_distance: float,
    contrast: int = 1,
    levels: tuple[float, float] = (0.02, 0.98),
) -> tuple[SiteRule, float]:
    """Pick polarity and floor of the sites of a crystal.

    Parameters
    ----------
    frame : (H, W)
        A reference frame, finite.
    lattice
        Of this frame.
    smooth_sigma, min_distance
        Fractions of the lattice period.
    contrast, levels
        Of the rule: whether columns are bright or dark, and what the levels are tied to.

    Returns
    -------
    SiteRule, float
        The best rule, and the share of neighbours that it finds in place.
    """
    period = lattice.period_px
    best: tuple[float, SiteRule, float] | None = None
    for polarity in (1, -1):
        rule = SiteRule(
            smooth_sigma_px=smooth_sigma * period,
            polarity=polarity,
            floor=_ALL,
            min_distance_px=max(1, round(min_distance * period)),
            basis_px_yx=lattice.basis_px_yx,
            levels=levels,
            contrast=contrast,
        )
        for candidate in _with_floors(rule, frame):
            view = SiteFinder(candidate).prepare(frame)
            per_cell = max(len(view.places_yx), 1) * lattice.cell_area_px2 / frame.size
            merit = view.linked - _COUNT_WEIGHT * abs(float(np.log(per_cell)))
            if best is None or merit > best[0]:
                best = (merit, candidate, view.linked)
    if best is None:
        raise AssertionError("two polarities give at least two candidates")
    return best[1], best[2]


def _with_floors(rule: SiteRule, frame: NDArray[np.float32]) -> Iterator[SiteRule]:
    """Yield the rule for all extrema, and for the stronger of two classes of them."""
    yield rule
    image = SiteFinder(rule).level(frame)
    places = np.empty((image.size // (rule.min_distance_px + 1) + 1, 2), np.int32)
    n_found = strict_extrema(image, _ALL, rule.min_distance_px, rule.polarity, 1, places)
    places = places[: min(n_found, len(places))]
    levels = rule.polarity * image[places[:, 0], places[:, 1]].astype(np.float64)
    if len(levels) > 1 and np.ptp(levels) > 0:
        yield replace(rule, floor=two_class_threshold(levels))


def two_class_threshold(values: NDArray[np.float64]) -> float:
    """Value between two classes that maximises the variance between them (Otsu 1979).

    Examples
    --------
    >>> values = np.array([1.0, 1.1, 0.9, 5.0, 5.1, 4.9])
    >>> bool(1.1 < two_class_threshold(values) < 4.9)
    True
    """
    counts, edges = np.histogram(values, 64)
    centres = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)[:-1].astype(np.float64)
    mass = np.cumsum(counts * centres)
    share = below / counts.sum()
    between = np.square(mass[-1] * share - mass[:-1]) / np.maximum(
        below * (counts.sum() - below), 1.0
    )
    # A gap gives a flat top: take its middle.
    top = np.flatnonzero(between >= between.max() * (1 - 1e-9))
    return float(edges[1:-1][top].mean())
