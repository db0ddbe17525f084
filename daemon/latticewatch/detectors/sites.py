"""Finds the sites of a frame: a levelled frame in, a view of its sites out.

With a lock of the lattice every address in the field is predicted, see `lattice_sites.py`. Else
sites are extrema of the smoothed frame that have neighbours where the lattice wants them, and
places where such neighbours agree that a site is missing. An extremum without neighbours is not
a site: in noise and vacuum nothing is invented.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lattice_sites import predict_sites
from latticewatch.detectors.lock import LatticeLock
from latticewatch.detectors.rim import at_rim
from latticewatch.detectors.view import LEAST_LINKED as LEAST_LINKED
from latticewatch.detectors.view import SiteRule as SiteRule
from latticewatch.detectors.view import View as View
from latticewatch.detectors.view import expected_places as expected_places
from latticewatch.kernels.extrema import strict_extrema
from latticewatch.kernels.levels import robust_range
from latticewatch.kernels.neighbours import (
    NOBODY,
    OUTSIDE,
    fill_buckets,
    group_points,
    link_places,
    make_buckets,
)
from latticewatch.kernels.refine import refine_quadratic
from latticewatch.kernels.smooth import (
    gaussian_levels,
    gaussian_rows,
    gaussian_scratch,
    gaussian_weights,
    sampled_rows,
)

# Fractions of the lattice period.
LINK_REACH = 0.2  # a neighbour this far off its place still counts: 11 degrees, or 20 per cent
# Of a member of the lattice more is believed: predictions of one missing site scatter less than
# this, and a displaced column, up to 0.2 off, still has its neighbours.
_MEMBER_REACH = 0.25

# A blurred frame of many rows says with some of them where its percentiles are (1.3 ms, now 0.4).
_ROW_STEP = 4
_FEWEST_ROWS = 256


class SiteFinder:
    """Finds the sites of one crystal, frame after frame, in buffers that it keeps."""

    def __init__(self, rule: SiteRule) -> None:
        self.rule = rule
        self._weights = gaussian_weights(rule.smooth_sigma_px)
        self._vectors = np.concatenate([rule.basis_px_yx, -rule.basis_px_yx])
        self._bucket_px = float(max(1.0, _MEMBER_REACH * rule.period_px))
        self._shape = (0, 0)
        # 2048 bins: the two percentiles are off by at most 1/2000 of the range of the frame.
        self._histogram = np.zeros(2048, np.int64)

    def prepare(self, pixels: NDArray[np.float32], lock: LatticeLock | None = None) -> View:
        """Blur, level, find and link the sites of a frame.

        Parameters
        ----------
        pixels : (H, W)
            Finite, native, C order. Not changed.
        lock
            The lattice locked to this frame, which predicts every site. None, or a lock in whose
            cells the extrema agree on no place: the sites are the extrema of the frame.
        """
        image = self.level(pixels)
        if lock is not None:
            predicted = predict_sites(image, self.rule, lock)
            if predicted is not None:
                return predicted
        places = self._extrema(image)
        view = self._view(image, places, self._link(places, pixels.shape, LINK_REACH))
        return self._complete(view) if view.is_periodic else view

    def level(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Blurred frame, its 2nd and 98th percentile at 0 and 1; a constant frame becomes 0."""
        self._reserve(pixels.shape)
        gaussian_rows(pixels, self._weights, self._scratch, self._rows)
        low, high = robust_range(self._rows.rows, *self.rule.levels, self._histogram)
        if not high > low:
            self._image[:] = 0
            return self._image
        levels = (low, high) if self.rule.contrast > 0 else (high, low)
        gaussian_levels(pixels, self._weights, levels, self._rows, self._scratch, self._image)
        return self._image

    def _reserve(self, shape: tuple[int, ...]) -> None:
        if shape == self._shape:
            return
        height, width = shape
        self._shape = (height, width)
        self._image = np.empty(shape, np.float32)
        self._scratch = gaussian_scratch(width, self._weights)
        step = max(1, min(_ROW_STEP, height // _FEWEST_ROWS))
        self._rows = sampled_rows((height, width), step)
        # Extrema are farther apart than the window's half width: no more than these fit.
        step = self.rule.min_distance_px + 1
        most = (height // step + 1) * (width // step + 1)
        most += most // 4 + 64  # and the sites that are predicted
        self._pixels_yx = np.empty((most, 2), np.int32)
        self._places_yx = np.empty((most, 2), np.float64)
        self._links = np.empty((most, len(self._vectors)), np.int32)
        self._buckets = make_buckets((height, width), self._bucket_px, most)

    def _extrema(self, image: NDArray[np.float32]) -> NDArray[np.float64]:
        rule = self.rule
        n_found = strict_extrema(
            image, rule.floor, rule.min_distance_px, rule.polarity, 1, self._pixels_yx
        )
        n_found = min(n_found, len(self._pixels_yx))
        places = self._places_yx[:n_found]
        refine_quadratic(image, self._pixels_yx[:n_found], places)
        return places

    def _link(
        self, places: NDArray[np.float64], shape: tuple[int, ...], reach: float
    ) -> NDArray[np.int32]:
        links = self._links[: len(places)]
        fill_buckets(places, self._buckets)
        reach_px = min(reach * self.rule.period_px, self._bucket_px)
        frame_yx = (shape[0], shape[1])
        link_places(places, self._vectors, reach_px, frame_yx, self._buckets, links)
        return links

    def _view(
        self,
        image: NDArray[np.float32],
        places: NDArray[np.float64],
        links: NDArray[np.int32],
    ) -> View:
        n_possible = int((links != OUTSIDE).sum())
        hit = links >= 0
        basis, rms = self._measured_basis(places, links, hit)
        share = float(hit.sum()) / n_possible if n_possible else 0.0
        nowhere = np.zeros(len(places), bool)
        return View(image, places, nowhere, nowhere, links, share, basis, rms)

    def _measured_basis(
        self,
        places: NDArray[np.float64],
        links: NDArray[np.int32],
        hit: NDArray[np.bool_],
    ) -> tuple[NDArray[np.float64], float]:
        """Mean neighbour vectors of this frame; the model's where there are no neighbours."""
        basis = self.rule.basis_px_yx.copy()
        squares = []
        for axis in (0, 1):
            own = hit[:, axis]
            if not own.any():
                continue
            steps = places[links[own, axis]] - places[own]
            basis[axis] = steps.mean(axis=0)
            squares.append(np.square(steps - basis[axis]).mean())
        # A step has the errors of both its ends.
        return basis, float(np.sqrt(np.mean(squares) / 2)) if squares else 0.0

    def _complete(self, view: View) -> View:
        """Keep the extrema that belong to the lattice, and add the sites that it misses."""
        links = view.links
        possible = (links != OUTSIDE).sum(axis=1)
        # Two neighbours may be missing, as beside a pair of vacancies; one link proves nothing.
        enough = np.maximum(np.minimum(2, possible), possible - 2)
        member = (links >= 0).sum(axis=1) >= enough
        # Links to extrema that are no members prove nothing either: they come in pairs in vacuum.
        member &= ((links >= 0) & member[links]).sum(axis=1) >= enough
        places = view.places_yx[member]
        missing = self._missing_sites(view, links[member], places)
        predicted = np.repeat([False, True], [len(places), len(missing)])
        everything = np.concatenate([places, missing])
        links = self._link(everything, view.image.shape, _MEMBER_REACH)
        rim = at_rim(view.image, everything, links, self._vectors)
        return replace(view, places_yx=everything, predicted=predicted, rim=rim, links=links)

    def _missing_sites(
        self, view: View, links: NDArray[np.int32], places: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Points where all but at most one of the possible neighbours expect a site."""
        vectors = np.concatenate([view.basis_px_yx, -view.basis_px_yx])
        which, vector = np.nonzero(links != OUTSIDE)
        targets = places[which] + vectors[vector]
        height, width = view.image.shape
        inside = ((targets >= 0) & (targets <= (height - 1, width - 1))).all(axis=1)
        targets = targets[inside & (links[which, vector] == NOBODY)]
        if not len(targets):
            return np.empty((0, 2))
        groups = np.empty(len(targets), np.int32)
        # Squares of a period: a cell misses one site of each kind, so they hold a few groups each.
        buckets = make_buckets((height, width), max(1.0, view.period_px), len(targets))
        n_groups = group_points(targets, _MEMBER_REACH * view.period_px, buckets, groups)
        votes = np.bincount(groups, minlength=n_groups)
        centres = np.stack(
            [np.bincount(groups, targets[:, k], n_groups) / votes for k in (0, 1)], axis=1
        )
        around = centres[:, None] + vectors
        possible = ((around >= 1) & (around <= (height - 2, width - 2))).all(axis=2).sum(axis=1)
        kept: NDArray[np.float64] = centres[votes >= np.maximum(2, possible - 1)]
        return kept
