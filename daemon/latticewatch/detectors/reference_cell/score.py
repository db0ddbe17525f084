"""Point defects of a frame against its own mean cell."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lock import LatticeLock
from latticewatch.detectors.reference_cell.explain import (
    WORTH_LOG_P,
    Change,
    explain,
    score_of_log_p,
    shares_of,
)
from latticewatch.detectors.reference_cell.flaws import NO_FLAWS, Flaws
from latticewatch.detectors.reference_cell.maker import ResidueMaker
from latticewatch.detectors.reference_cell.merging import merged
from latticewatch.detectors.reference_cell.parameters import ReferenceCellParameters
from latticewatch.detectors.reference_cell.residue import Residue, Strangers
from latticewatch.detectors.reference_cell.species import dopants_among
from latticewatch.kernels.bumps import find_bumps, mark_ground
from latticewatch.kernels.cells import CELL_BINS
from latticewatch.kernels.smooth import gaussian, gaussian_scratch, gaussian_weights

_FEWEST_SITES = 30
_OFF_SITE = (0.4, 1.2)  # of that distance, of a column width: nearer is the site's own business
_EXTRA_APART = 1.8
_PEER_SHARE = 0.5
_FEWEST_MAXIMA = 20
_LEAST_EXTRA_Z = 3.0
_BORDER_PX = 4


@dataclass(frozen=True, slots=True)
class PointDefect:
    """One defect.

    Attributes
    ----------
    place_yx
        Pixels.
    kind
        "deficit", "excess", "displaced" or "extra".
    log_p
        Logarithm of the chance that a place without a defect looks as strange.
    intensity_ratio
        Found over expected intensity; None where no column is expected.
    moved_px_yx
        How far a column was found from its site; None where none is expected.
    cov_px
        (var_yy, cov_yx, var_xx) of the place.
    sublattice
        Row of the columns of the cell, or None.
    address
        Lattice address (i, j), or None.
    is_dopant
        A column of a second species, of which there are many.
    """

    place_yx: tuple[float, float]
    kind: str
    log_p: float
    intensity_ratio: float | None
    moved_px_yx: tuple[float, float] | None
    cov_px: tuple[float, float, float]
    sublattice: int | None
    address: tuple[int, int] | None
    is_dopant: bool = False

    @property
    def score(self) -> float:
        """Standard normal quantile of 1 - p."""
        return score_of_log_p(self.log_p)


@dataclass(frozen=True, slots=True)
class CellResult:
    """What the detector says of a frame.

    Attributes
    ----------
    lock
        Where the cells are.
    places_yx : (N, 2)
        Columns of the crystal that were looked at, all sublattices; pixels.
    n_beyond
        Places of the lattice in the frame where it does not hold; nobody looked at them.
    strangers
        What to leave out of the mean cell of the next frame of this crystal.
    defects
        Strangest first; not yet cut at a threshold.
    """

    lock: LatticeLock
    places_yx: NDArray[np.float64]
    n_beyond: int
    strangers: Strangers
    defects: tuple[PointDefect, ...]

    @property
    def n_sites(self) -> int:
        """How many columns were looked at."""
        return len(self.places_yx)


class ReferenceCellDetector:
    """Compares every column with the mean of its kind; needs no reference frame and no labels."""

    def __init__(self, parameters: ReferenceCellParameters | None = None) -> None:
        self._parameters = parameters or ReferenceCellParameters()
        self._maker = ResidueMaker(self._parameters)
        self._filtered = np.empty((0, 0), np.float32)

    def look(
        self,
        image: NDArray[np.float32],
        lock: LatticeLock,
        known: Strangers | None = None,
        flaws: Flaws = NO_FLAWS,
    ) -> CellResult | None:
        """Find what the mean cell does not explain.

        Parameters
        ----------
        image : (H, W)
            Finite, native.
        lock
            Of this frame.
        known
            Of the last frame, if its lattice was followed to this one.
        flaws
            What must not be taken for the crystal.

        Returns
        -------
        CellResult or None
            None where the frame holds too few columns to know a normal one.
        """
        residue = self._maker.explain(image, lock, known, flaws)
        if residue is None or len(residue.label) < _FEWEST_SITES:
            return None
        shares = shares_of(residue, self._parameters)
        extra = self._extra_columns(residue, shares.log_extra)
        changes = explain(residue, shares)
        is_dopant = dopants_among(changes, residue)
        dopants = [change for change, it_is in zip(changes, is_dopant, strict=True) if it_is]
        others = [change for change, it_is in zip(changes, is_dopant, strict=True) if not it_is]
        defects = [_as_defect(change, residue) for change in merged(others, residue)]
        defects += [_as_defect(change, residue, is_dopant=True) for change in dopants]
        reach_px = _EXTRA_APART * residue.nearest_px * residue.stride
        defects = _with_extra(defects, extra, reach_px)
        places = residue.stride * residue.places_yx + 0.5 * (residue.stride - 1)
        return CellResult(lock, places, residue.sites.n_beyond, residue.strangers, tuple(defects))

    def _extra_columns(self, residue: Residue, log_share: float) -> list[PointDefect]:
        """Columns where the cell has none, against the frame's own law of maxima (Gumbel)."""
        sigma_px = residue.columns.sigma_px
        peaks, z = self._peaks(residue)
        if len(peaks) <= _FEWEST_MAXIMA:
            return []
        n_peaks, law = len(peaks), _gumbel_law(z)
        high = np.flatnonzero(z > _LEAST_EXTRA_Z)
        peaks, z = peaks[high], z[high]
        log_p = _log_gumbel_tail(z, law) + np.log(n_peaks / len(residue.label)) - log_share
        # Of the top of a matched filter, and of the pixel that stands for it.
        cov = 2 * sigma_px**2 / np.square(z) + 1 / 12
        return [
            PointDefect(
                place_yx=_in_frame_yx(peaks[k], residue.stride),
                kind="extra",
                log_p=float(log_p[k]),
                intensity_ratio=None,
                moved_px_yx=None,
                cov_px=_in_frame_cov((float(cov[k]), 0.0, float(cov[k])), residue.stride),
                sublattice=None,
                address=None,
            )
            for k in np.flatnonzero(log_p < WORTH_LOG_P)
        ]

    def _peaks(self, residue: Residue) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Maxima (M, 2) of the filtered residual between columns, and their statistic (M,)."""
        sigma_px = residue.columns.sigma_px
        weights = gaussian_weights(sigma_px, 3.5)
        filtered = self._filtered_for(residue.weighted.shape)
        gaussian(residue.weighted, weights, gaussian_scratch(filtered.shape[1], weights), filtered)
        reach_px = max(_OFF_SITE[0] * residue.nearest_px, _OFF_SITE[1] * sigma_px)
        ground = np.empty(CELL_BINS**2, np.bool_)
        mark_ground(residue.columns.fraction, residue.basis_px_yx, reach_px, ground)
        # Of four pixels one at most is beyond its neighbours.
        found = np.empty((filtered.size // 4 + 1, 2), np.int32)
        radius_px = max(1, int(sigma_px))
        n_found = find_bumps(filtered, residue.bins, ground, (radius_px, _BORDER_PX), found)
        peaks = found[:n_found]
        peaks = peaks[residue.is_within(peaks)]
        if residue.flawed is not None:
            peaks = peaks[~residue.flawed[peaks[:, 0], peaks[:, 1]]]
        # Between columns the precision is even, so that one pixel of it stands for the window.
        rows, columns = peaks[:, 0], peaks[:, 1]
        z = filtered[rows, columns] / np.sqrt(residue.precision[rows, columns].astype(np.float64))
        z *= 2 * np.sqrt(np.pi) * sigma_px / residue.scale[0]
        return peaks, z

    def _filtered_for(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Memory for a filtered frame: fresh memory costs more than the maxima of it."""
        if self._filtered.shape != shape:
            self._filtered = np.empty(shape, np.float32)
        return self._filtered


def _in_frame_yx(place_yx: NDArray[np.number], stride: int) -> tuple[float, float]:
    """From pixels of a binned frame to those of the frame."""
    y, x = place_yx.tolist()
    return stride * y + 0.5 * (stride - 1), stride * x + 0.5 * (stride - 1)


def _in_frame_cov(cov_px: tuple[float, float, float], stride: int) -> tuple[float, float, float]:
    """From square pixels of a binned frame to those of the frame."""
    square = stride * stride
    return square * cov_px[0], square * cov_px[1], square * cov_px[2]


def _with_extra(
    defects: list[PointDefect], extra: list[PointDefect], reach_px: float
) -> list[PointDefect]:
    """Join columns that are wrong and columns too many: near each other, the stranger is meant."""
    if not defects or not extra:
        return sorted(defects + extra, key=lambda one: one.log_p)
    places, others = (np.array([one.place_yx for one in some]) for some in (defects, extra))
    apart = np.hypot(*(places[None] - others[:, None]).transpose(2, 0, 1))
    score = np.array([defect.score for defect in defects])
    stays = np.ones(len(defects), np.bool_)
    kept = []
    for one, near, has_any in zip(
        extra, apart < reach_px, apart.min(axis=1) < reach_px, strict=True
    ):
        if not has_any:
            kept.append(one)
            continue
        # A bump between the sites of a damaged column is its remains; a site beside an extra
        # column keeps its own damage if that is large.
        if (score[near & stays] > one.score).any():
            continue
        kept.append(one)
        stays &= ~(near & (score < _PEER_SHARE * one.score))
    kept += [defects[k] for k in np.flatnonzero(stays)]
    return sorted(kept, key=lambda one: one.log_p)


def _gumbel_law(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mode and scale of the law of most of these maxima.

    Median and 90 % quantile fix the law, so that a few true columns do not.
    """
    median, ninety = (float(value) for value in np.percentile(values, (50, 90)))
    scale = (ninety - median) / float(np.log(np.log(2)) - np.log(-np.log(0.9)))
    return median + scale * float(np.log(np.log(2))), scale


def _log_gumbel_tail(values: NDArray[np.float64], law: tuple[float, float]) -> NDArray[np.float64]:
    """Log chance that a maximum exceeds each value, by a law from `_gumbel_law`."""
    mode, scale = law
    away = (values - mode) / max(scale, 1e-12)
    near = np.log(-np.expm1(-np.exp(-np.minimum(away, 30.0))))
    # Far out 1 - exp(-exp(-x)) is exp(-x), and its digits would be lost.
    tail: NDArray[np.float64] = np.where(away > 30.0, -away, near)
    return tail


def _as_defect(change: Change, residue: Residue, *, is_dopant: bool = False) -> PointDefect:
    stride = residue.stride
    y, x = change.moved_px_yx.tolist()
    i, j = residue.sites.addresses[change.site].tolist()
    return PointDefect(
        place_yx=_in_frame_yx(change.place_yx, stride),
        kind=change.kind,
        log_p=change.log_p,
        intensity_ratio=change.intensity_ratio,
        moved_px_yx=(stride * y, stride * x),
        cov_px=_in_frame_cov(change.cov_px, stride),
        sublattice=int(residue.label[change.site]),
        address=(i, j),
        is_dopant=is_dopant,
    )
