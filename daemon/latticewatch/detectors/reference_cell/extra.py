"""Columns where the cell has none."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.reference_cell.defects import PointDefect, in_frame_cov, in_frame_yx
from latticewatch.detectors.reference_cell.explain import WORTH_LOG_P
from latticewatch.detectors.reference_cell.residue import Residue
from latticewatch.detectors.reference_cell.smears import are_smeared
from latticewatch.kernels.bumps import find_bumps, mark_ground
from latticewatch.kernels.cells import CELL_BINS
from latticewatch.kernels.smooth import gaussian, gaussian_scratch, gaussian_weights

_OFF_SITE = (0.4, 1.2)  # of that distance, of a column width: nearer is the site's own business
_WINDOW = 2.5  # widths round an extra column that are its own
_APART = 1.8  # distances between columns: nearer defects are one
_PEER_SHARE = 0.5
_FEWEST_MAXIMA = 20
_LEAST_Z = 3.0
_BORDER_PX = 4


class ExtraColumns:
    """Looks between the columns of frames, in a buffer that it keeps."""

    def __init__(self) -> None:
        self._filtered = np.empty((0, 0), np.float32)

    def find(
        self, residue: Residue, ground: NDArray[np.bool_], log_share: float
    ) -> list[PointDefect]:
        """Columns where the cell has none, against the frame's own law of maxima (Gumbel)."""
        sigma_px = residue.columns.sigma_px
        peaks, z = self._peaks(residue, ground)
        if len(peaks) <= _FEWEST_MAXIMA:
            return []
        n_peaks, law = len(peaks), _gumbel_law(z)
        high = np.flatnonzero(z > _LEAST_Z)
        log_p = _log_gumbel_tail(z[high], law) + np.log(n_peaks / len(residue.label)) - log_share
        worth = high[log_p < WORTH_LOG_P]
        rows, columns = peaks[worth, 0], peaks[worth, 1]
        # Height of the Gaussian that a normalised one answers to like this.
        answer = self._filtered[rows, columns].astype(np.float64)
        amplitude = 2.0 * answer / residue.precision[rows, columns]
        places = peaks[worth].astype(np.float64)
        smeared = are_smeared(places, amplitude, _WINDOW, residue, ground)
        # Of the top of a matched filter, and of the pixel that stands for it.
        cov = 2 * sigma_px**2 / np.square(z[worth]) + 1 / 12
        return [
            PointDefect(
                place_yx=in_frame_yx(peak, residue.stride),
                kind="extra",
                log_p=one_log_p,
                intensity_ratio=None,
                moved_px_yx=None,
                cov_px=in_frame_cov((one_cov, 0.0, one_cov), residue.stride),
                sublattice=None,
                address=None,
            )
            for peak, one_log_p, one_cov, is_smeared in zip(
                peaks[worth],
                log_p[log_p < WORTH_LOG_P].tolist(),
                cov.tolist(),
                smeared.tolist(),
                strict=True,
            )
            if not is_smeared
        ]

    def _peaks(
        self, residue: Residue, ground: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Maxima (M, 2) of the filtered residual between columns, and their statistic (M,)."""
        sigma_px = residue.columns.sigma_px
        weights = gaussian_weights(sigma_px, 3.5)
        filtered = self._filtered_for(residue.weighted.shape)
        gaussian(residue.weighted, weights, gaussian_scratch(filtered.shape[1], weights), filtered)
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


def ground_of(residue: Residue) -> NDArray[np.bool_]:
    """Bins (128 * 128,) of the cell that are too far from all columns to be theirs."""
    reach_px = max(_OFF_SITE[0] * residue.nearest_px, _OFF_SITE[1] * residue.columns.sigma_px)
    ground = np.empty(CELL_BINS**2, np.bool_)
    mark_ground(residue.columns.fraction, residue.basis_px_yx, reach_px, ground)
    return ground


def with_extra(
    defects: list[PointDefect], extra: list[PointDefect], residue: Residue
) -> list[PointDefect]:
    """Join columns that are wrong and columns too many: near each other, the stranger is meant."""
    if not defects or not extra:
        return sorted(defects + extra, key=lambda one: one.log_p)
    reach_px = _APART * residue.nearest_px * residue.stride
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
