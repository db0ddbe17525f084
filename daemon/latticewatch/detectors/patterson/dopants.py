"""Species and vacancies by column intensity, and the frame redrawn with all columns alike.

A dopant is brighter than its neighbours, and no defect of the structure: told apart here, and
gone from the atom-coordinate image, in which scheme one finds columns absent or displaced.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from latticewatch.detectors.lattice_sites import cell_coordinates, sites_on
from latticewatch.detectors.lock import LatticeLock
from latticewatch.detectors.patterson.mixture import Population, split_populations
from latticewatch.detectors.sites import SiteFinder
from latticewatch.detectors.view import SiteRule, View
from latticewatch.kernels.drawing import draw_columns
from latticewatch.kernels.extrema import strict_extrema
from latticewatch.kernels.levels import robust_range
from latticewatch.kernels.refine import column_intensity, refine_near, refine_quadratic
from latticewatch.kernels.smooth import gaussian, gaussian_scratch, gaussian_weights

# Fractions of the lattice period, patterson.md 3.4: 2, 4, 5, 3.6 and 6 px at 22.6.
_COLUMN_BLUR = 0.09
_COLUMN_DISTANCE = 0.18
_INTENSITY_RADIUS = 0.22
# Places are tops of the frame blurred as for sites: 0.26 px from the truth on the
# doped honeycomb, 0.58 at an eighth of the dose, 0.30, 0.16 and 0.10 on bilayer MoTe2; centres of
# mass of 7 x 7 px were 0.27, 0.66, 0.34, 0.20 and 0.14 px off.
_PLACE_BLUR = 0.13
_REFINE_REACH = 0.13
# Of the way to the next column: the blur of places, lest the columns of a dumbbell pull each other,
# and the disc. With wider ones a tenth of the columns of perfect dumbbells held 13 % more of the
# partner than the others, and were a species of their own.
_PLACE_BLUR_OF_NEXT = 0.23
_DRAWN_SIGMA = 0.16
_DRAWN_REACH = 5.0  # widths
_OF_NEXT = 0.4
_THRESHOLD = 0.15  # of the range of the frame
_BORDER = 0.27
# Intensities are compared with those of their own sublattice near by, so that thickness and
# background may change over the field.
_NEAR_PERIODS = 8.0
_FEWEST_NEAR = 12
# Columns of one sublattice lie together in the cell.
_SUBLATTICE_REACH = 0.15
_SUBLATTICE_SHARE = 0.3  # of the cells must hold it
_MOST_SUBLATTICES = 6
_CELL_BINS = 24


def drawn_margin_px(rule: SiteRule) -> float:
    """Beyond this from the edge of the frame every column is looked for and drawn whole."""
    return (_BORDER + 2 * _DRAWN_SIGMA) * rule.period_px


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a frame, told apart by sublattice and intensity.

    Attributes
    ----------
    places_yx : (N, 2)
        Centres, pixels.
    ratio : (N,)
        Integrated intensity over that of the same sublattice near by.
    sublattice : (N,)
        0 for the most frequent place in the cell; -1: on none. All 0 without a lock.
    species : (N,)
        Population of the column within its sublattice, 0 the majority; -1: of none.
    probability : (N,)
        That it belongs to it.
    populations
        Of each sublattice, the majority first.
    """

    places_yx: NDArray[np.float64]
    ratio: NDArray[np.float64]
    sublattice: NDArray[np.int64]
    species: NDArray[np.int64]
    probability: NDArray[np.float64]
    populations: tuple[tuple[Population, ...], ...]

    @property
    def is_dopant(self) -> NDArray[np.bool_]:
        """Columns (N,) of a minority species."""
        dopant: NDArray[np.bool_] = self.species > 0
        return dopant

    @property
    def is_vacancy(self) -> NDArray[np.bool_]:
        """Columns (N,) too dark for their sublattice; those without a peak are not here."""
        vacancy: NDArray[np.bool_] = (self.species < 0) & (self.sublattice >= 0)
        return vacancy

    def nearest(self, places_yx: NDArray[np.float64], reach_px: float) -> NDArray[np.int64]:
        """Row of the column nearest to each place (M,), -1 where none is within reach."""
        if not len(self.places_yx) or not len(places_yx):
            return np.full(len(places_yx), -1, np.int64)
        gap, row = cKDTree(self.places_yx).query(places_yx, distance_upper_bound=reach_px)
        return np.where(np.isfinite(gap), row, -1).astype(np.int64)


class ColumnFinder:
    """Finds the columns of one crystal, frame after frame; bright ones, as the rule sees them."""

    def __init__(self, rule: SiteRule) -> None:
        self.rule = rule
        self._sites = SiteFinder(rule)
        self._histogram = np.zeros(4096, np.int64)
        self._drawn = np.empty((0, 0), np.float32)

    def look(self, pixels: NDArray[np.float32], lock: LatticeLock | None = None) -> Columns:
        """Find the columns of a frame and tell species and vacancies apart.

        Parameters
        ----------
        pixels : (H, W)
            Finite, native, C order.
        lock
            Of this frame, which tells sublattices apart; None: all columns are of one.
        """
        period = self.rule.period_px
        image = self._blurred(pixels, _COLUMN_BLUR * period)
        maxima = self._maxima(image)
        places = np.empty((len(maxima), 2))
        refine_quadratic(image, maxima, places)
        next_px = _usual_gap(places, default=period)
        sharp = self._blurred(pixels, min(_PLACE_BLUR * period, _PLACE_BLUR_OF_NEXT * next_px))
        centres, found = np.empty_like(places), np.empty(len(places), np.bool_)
        reach_px = max(1, round(_REFINE_REACH * period))
        refine_near(sharp, places, reach_px, 1, centres, found)
        radius_px = max(1.0, min(_INTENSITY_RADIUS * period, _OF_NEXT * next_px))
        means = np.empty(len(places), np.float32)
        column_intensity(image, centres, radius_px, means)
        floor, _ = robust_range(image, 0.01, 0.99, self._histogram)
        sublattice = np.zeros(len(places), np.int64)
        if lock is not None and len(places):
            sublattice = _sublattices(centres, lock, pixels.size)
        return self._told_apart(centres, means.astype(np.float64) - floor, sublattice)

    def prepare(self, pixels: NDArray[np.float32], lock: LatticeLock) -> tuple[View, Columns]:
        """Redraw the frame with all columns alike, and find the sites of the lattice in it.

        Parameters
        ----------
        pixels : (H, W)
            Finite, native, C order.
        lock
            Of this frame; predicts the sites, which are not refined: holes between redrawn columns
            are flat.

        Returns
        -------
        View, Columns
            The view's image is the atom-coordinate image, columns of height one on zero; it
            lives until the next frame.
        """
        columns = self.look(pixels, lock)
        if self._drawn.shape != pixels.shape:
            self._drawn = np.empty_like(pixels)
        sigma = _DRAWN_SIGMA * self.rule.period_px
        kept = columns.places_yx[columns.species >= 0]
        draw_columns(kept, sigma, math.ceil(_DRAWN_REACH * sigma), self._drawn)
        view = self._sites.prepare(pixels, lock)
        return sites_on(self._drawn, view, lock), columns

    def _blurred(self, pixels: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
        """Blur a frame and make its columns bright."""
        weights = gaussian_weights(sigma_px)
        image = np.empty_like(pixels)
        gaussian(pixels, weights, gaussian_scratch(pixels.shape[1], weights), image)
        return np.negative(image, out=image) if self.rule.contrast < 0 else image

    def _maxima(self, image: NDArray[np.float32]) -> NDArray[np.int32]:
        period = self.rule.period_px
        low, high = robust_range(image, 0.01, 0.998, self._histogram)
        floor = low + _THRESHOLD * (high - low)
        distance = max(1, round(_COLUMN_DISTANCE * period))
        found = np.empty((image.size // (distance + 1) + 1, 2), np.int32)
        n_found = strict_extrema(image, floor, distance, 1, round(_BORDER * period), found)
        return found[: min(n_found, len(found))].copy()

    def _told_apart(
        self,
        places: NDArray[np.float64],
        intensity: NDArray[np.float64],
        sublattice: NDArray[np.int64],
    ) -> Columns:
        ratio = np.ones(len(places))
        species, probability = np.zeros(len(places), np.int64), np.ones(len(places))
        populations = []
        reach_px = _NEAR_PERIODS * self.rule.period_px
        for label in range(int(sublattice.max(initial=-1)) + 1):
            own = np.flatnonzero(sublattice == label)
            ratio[own] = _over_neighbours(places[own], intensity[own], reach_px)
            split = split_populations(ratio[own])
            species[own], probability[own] = split.species, split.probability
            populations.append(split.populations)
        # What is on no sublattice is compared with all, and called dark, or nothing.
        alone = np.flatnonzero(sublattice < 0)
        if len(alone) and len(alone) < len(places):
            usual = float(np.median(intensity[sublattice >= 0]))
            ratio[alone] = intensity[alone] / max(usual, float(np.finfo(np.float64).tiny))
            species[alone] = np.where(ratio[alone] < 0.5, -1, 0)
        return Columns(places, ratio, sublattice, species, probability, tuple(populations))


def _usual_gap(places: NDArray[np.float64], default: float) -> float:
    """Median distance to the next column, pixels; the default where there is none."""
    if len(places) < 2:
        return default
    return float(np.median(cKDTree(places).query(places, k=2)[0][:, 1]))


def _over_neighbours(
    places: NDArray[np.float64], intensity: NDArray[np.float64], reach_px: float
) -> NDArray[np.float64]:
    """Intensity over the median of the columns near by: means of a coarse grid of medians."""
    overall = float(np.median(intensity))
    if not overall > 0:
        return np.ones(len(places))
    square = np.floor(places / reach_px).astype(np.int64)
    n_rows, n_columns = square.max(axis=0) + 1
    medians = np.full((n_rows, n_columns), np.nan)
    key = square[:, 0] * n_columns + square[:, 1]
    order = np.argsort(key, kind="stable")
    edges = np.flatnonzero(np.diff(key[order])) + 1
    for members in np.split(order, edges):
        if len(members) >= _FEWEST_NEAR:
            medians.flat[key[members[0]]] = np.median(intensity[members])
    usual = np.where(np.isfinite(medians) & (medians > 0), medians, overall)
    at = np.clip(places / reach_px - 0.5, 0, np.array(usual.shape) - 1.0)
    node = np.minimum(at.astype(np.int64), np.maximum(np.array(usual.shape) - 2, 0))
    share = at - node
    last = np.array(usual.shape) - 1
    local = np.zeros(len(places))
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = (share[:, 0] if down else 1 - share[:, 0]) * (
            share[:, 1] if right else 1 - share[:, 1]
        )
        local += (
            weight
            * usual[np.minimum(node[:, 0] + down, last[0]), np.minimum(node[:, 1] + right, last[1])]
        )
    ratio: NDArray[np.float64] = intensity / local
    return ratio / float(np.median(ratio))


def _sublattices(
    places: NDArray[np.float64], lock: LatticeLock, n_pixels: int
) -> NDArray[np.int64]:
    """Label columns (N,) by their place in the cell, the most frequent 0; -1 on no sublattice."""
    turns = cell_coordinates(places, lock) % 1.0
    label = np.full(len(places), -1, np.int64)
    n_cells = n_pixels / lock.period_px**2
    for number in range(_MOST_SUBLATTICES):
        free = turns[label < 0]
        if not len(free):
            break
        counts = np.histogram2d(free[:, 0], free[:, 1], _CELL_BINS, ((0, 1), (0, 1)))[0]
        around = np.zeros_like(counts)
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                around += np.roll(counts, (down, right), (0, 1))
        peak = (np.array(np.unravel_index(np.argmax(around), counts.shape)) + 0.5) / _CELL_BINS
        for _ in range(2):
            gap = (turns - peak + 0.5) % 1.0 - 0.5
            near = (
                np.linalg.norm(gap @ lock.basis_px_yx, axis=1) < _SUBLATTICE_REACH * lock.period_px
            ) & (label < 0)
            if near.any():
                peak = (peak + np.median(gap[near], axis=0)) % 1.0
        if near.sum() < _SUBLATTICE_SHARE * n_cells:
            break
        gap = (turns - peak + 0.5) % 1.0 - 0.5
        off_px = np.linalg.norm(gap @ lock.basis_px_yx, axis=1)
        label[(off_px < 2 * _SUBLATTICE_REACH * lock.period_px) & (label < 0)] = number
    return label
