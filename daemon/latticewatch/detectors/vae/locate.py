"""From strange sites to defects: where in its cell a residual is, and what it says of the column.

A column on the border of a cell is seen by the sites on both sides; sites whose residuals lie at
one place are one defect.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.calibration import MAD_TO_SIGMA
from latticewatch.detectors.protocols import Finding, Scores
from latticewatch.detectors.vae.model import VaeModel
from latticewatch.detectors.vae.score import VaeDetector
from latticewatch.detectors.view import View
from latticewatch.kernels.lobes import find_lobes
from latticewatch.kernels.neighbours import group_points, make_buckets

# A frame where more sites than this stand out is not searched further: the best ones say enough.
_MOST_SITES = 600
# Fractions of the lattice period.
_SAME_COLUMN = 0.35  # below the 0.577 between neighbouring columns of a honeycomb
_LOBE = 0.3  # a lobe is no wider, either way
_SHADOW = 1.2  # a weak residual this near a strong one is its flank
_SHADOW_SHARE = 0.4
# Shares of the expected column intensity, chosen as scheme one has them: less than this is a
# vacancy; where less than this share of the strongest column is expected, there is no column.
_VACANCY_BELOW = 0.35
_NO_COLUMN_BELOW = 0.15
# Weaker lobe over stronger one of a displaced column, and over the noise.
_LOBE_SHARE = 0.4
_LOBE_SIGMAS = 4.0


@dataclass(frozen=True, slots=True)
class _Lobes:
    """Strongest residual of some windows, and its opposite.

    Attributes
    ----------
    height, opposite : (M,)
        With their signs, over the spread of windows.
    place_yx, opposite_yx : (M, 2)
        Pixels.
    noise : (M,)
        Of a residual in this window, the same unit.
    expected : (M,)
        Level of the usual window at the strongest one, above its background.
    """

    height: NDArray[np.float64]
    place_yx: NDArray[np.float64]
    opposite: NDArray[np.float64]
    opposite_yx: NDArray[np.float64]
    noise: NDArray[np.float64]
    expected: NDArray[np.float64]


def locate(
    view: View, detector: VaeDetector, sites: NDArray[np.intp], scores: Scores
) -> list[Finding]:
    """Merge strange sites into findings, strongest evidence first.

    Parameters
    ----------
    view
        The frame that the detector scored last.
    detector
        Whose residuals say where the crystal is disturbed.
    sites : (M,)
        Rows of the view's sites past the threshold; all of them scored.
    scores
        Of the view.
    """
    if not len(sites):
        return []
    sites = sites[np.lexsort((sites, scores.p_value[sites]))][:_MOST_SITES]
    lobes = _lobes_of(detector, sites)
    model, period_px = detector.model, view.period_px
    groups = np.empty(len(sites), np.int32)
    shape = (view.image.shape[0], view.image.shape[1])
    buckets = make_buckets(shape, _SAME_COLUMN * period_px, len(sites))
    n_groups = group_points(lobes.place_yx, _SAME_COLUMN * period_px, buckets, groups)
    members = [np.flatnonzero(groups == group) for group in range(n_groups)]
    best = np.array([one[np.argmax(np.abs(lobes.height[one]))] for one in members])
    own = _is_own_defect(lobes, best, _SHADOW * period_px)
    return [
        _finding(lobes, int(best[group]), members[group], (model, sites, scores, period_px))
        for group in np.flatnonzero(own)
    ]


def _lobes_of(detector: VaeDetector, sites: NDArray[np.intp]) -> _Lobes:
    """Ask each window what disturbs its cell."""
    windows, (residuals, places) = detector.model.windows, detector.residuals_of(sites)
    n, size = len(residuals), windows.drawn_px
    # One above the other they are a picture, and the middle of each a place in it.
    half = size // 2
    middles = np.stack([np.arange(n) * size + half, np.full(n, half)], axis=1).astype(np.float64)
    found = np.empty((n, 6))
    reach = _LOBE * detector.model.rule.period_px / windows.step_px
    find_lobes(residuals.reshape(n * size, size), middles, detector.cell, reach, found)
    to_px = [places + (found[:, k : k + 2] - middles) * windows.step_px for k in (1, 4)]
    row, column = (np.rint(found[:, 1:3] - middles) + windows.size // 2).astype(np.intp).T
    background = float(np.quantile(windows.usual, 0.05))
    outside = residuals[:, ~detector.cell]
    return _Lobes(
        height=found[:, 0],
        place_yx=to_px[0],
        opposite=found[:, 3],
        opposite_yx=to_px[1],
        noise=MAD_TO_SIGMA * np.median(np.abs(outside), axis=1).astype(np.float64),
        expected=windows.usual[row, column].astype(np.float64) - background,
    )


def _is_own_defect(lobes: _Lobes, best: NDArray[np.intp], reach_px: float) -> NDArray[np.bool_]:
    """Tell defects of their own from flanks of a stronger one nearby."""
    places, height = lobes.place_yx[best], np.abs(lobes.height[best])
    near = np.square(places[:, None] - places).sum(axis=2) < reach_px**2
    np.fill_diagonal(near, val=False)
    own: NDArray[np.bool_] = height >= _SHADOW_SHARE * (near * height).max(axis=1)
    return own


def _finding(
    lobes: _Lobes,
    best: int,
    members: NDArray[np.intp],
    known: tuple[VaeModel, NDArray[np.intp], Scores, float],
) -> Finding:
    model, sites, scores, period_px = known
    height, opposite = abs(lobes.height[best]), abs(lobes.opposite[best])
    displaced = opposite > max(_LOBE_SHARE * height, _LOBE_SIGMAS * lobes.noise[best])
    weight = np.abs(lobes.height[members])
    place = (weight[:, None] * lobes.place_yx[members]).sum(axis=0) / weight.sum()
    if displaced:
        # Hole and bump lie about a column's width beyond both ends of the shift.
        place = (lobes.place_yx[best] + lobes.opposite_yx[best]) / 2
    kind, ratio = ("displaced", None) if displaced else _kind(lobes, best, model)
    # Top of a Gaussian of this width under noise: width x noise / amplitude.
    width_px = model.rule.smooth_sigma_px
    floor = float(np.clip((width_px * lobes.noise[best] / max(height, 1e-30)) ** 2, 0.01, None))
    var = min(floor, width_px**2) if width_px**2 > 0.01 else floor
    spread = lobes.place_yx[members] - place
    n = len(members)
    cov = spread.T @ spread / (n * max(n - 1, 1)) if n > 1 and not displaced else np.zeros((2, 2))
    site = int(sites[members[0]])  # in order of their evidence
    return Finding(
        pixel_yx=(float(place[0]), float(place[1])),
        cov_px=(float(cov[0, 0]) + var, float(cov[0, 1]), float(cov[1, 1]) + var),
        kind=kind,
        intensity_ratio=ratio,
        extent_px=0.5 * period_px,
        p_value=float(scores.p_value[site]),
        parts=tuple((name, float(z[site]), float(p[site])) for name, z, p in scores.parts),
        tail=bool(scores.tail[site]),
    )


def _kind(lobes: _Lobes, best: int, model: VaeModel) -> tuple[str, float | None]:
    """Word for what is wrong, and observed over expected intensity where a column is expected."""
    amplitude = float(lobes.height[best]) * model.windows.scale
    expected = float(lobes.expected[best])
    if expected < _NO_COLUMN_BELOW * float(np.ptp(model.windows.usual)):
        return ("extra" if amplitude > 0 else "unknown"), None
    ratio = max((expected + amplitude) / expected, 0.0)
    if ratio < _VACANCY_BELOW:
        return "vacancy", ratio
    return ("deficit" if ratio < 1 else "excess"), ratio
