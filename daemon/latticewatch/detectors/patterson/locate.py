"""From strange sites to defects: which column is wrong, where it is, and in what way.

A missing column disturbs every window that holds it. The residual of each strange window against
the mean window of the reference points at the column; sites that point at one place are one
defect, reported at the column and not at the site.
"""

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.patterson.model import PattersonModel
from latticewatch.detectors.protocols import Finding
from latticewatch.detectors.sites import View, expected_places
from latticewatch.kernels.neighbours import group_points
from latticewatch.kernels.residual import Residuals, make_residuals, window_residuals

# A frame where more sites than this stand out is not searched further: the best ones say enough.
_MOST_SITES = 600
# Fractions of the lattice period.
_SAME_COLUMN = 0.45  # below the 0.577 between neighbouring columns of a honeycomb
_LOBES_APART = 0.6  # a displaced column leaves a hole and a bump no farther apart
_SHADOW = 1.2  # a weak residual this near a strong one is its flank
_SHADOW_SHARE = 0.4
# Shares of the expected column intensity, chosen: less than this is a vacancy or a deficit; where
# less than this share of the strongest column is expected, there is no column.
_VACANCY_BELOW = 0.35
_NO_COLUMN_BELOW = 0.15
# Weaker lobe over stronger one of a displaced column; noise alone reaches neither that share of a
# clear peak nor this many of its standard deviations.
_LOBE_SHARE = 0.3
_FOREIGN_LOBE_SHARE = 0.5
_LOBE_SIGMAS = 4.0


def locate(
    view: View,
    model: PattersonModel,
    sites: NDArray[np.intp],
    p_values: NDArray[np.float64],
) -> list[Finding]:
    """Merge strange sites into findings, strongest evidence first.

    Windows are centred where the neighbours want the site, so that a displaced column shows as a
    hole beside a bump, and not as a crowd of displaced neighbours.

    Parameters
    ----------
    view
        The frame.
    model
        Whose mean window says what a normal site looks like.
    sites : (M,)
        Rows of the view's sites past the threshold; their windows are whole.
    p_values : (M,)
        Of these sites.
    """
    if not len(sites):
        return []
    sites = sites[np.lexsort((sites, p_values))][:_MOST_SITES]
    pointers = _point(view, model, sites)
    groups = np.empty(len(sites), np.int32)
    n_groups = group_points(pointers.peak_yx, _SAME_COLUMN * view.period_px, groups)
    members = [np.flatnonzero(groups == group) for group in range(n_groups)]
    centres = np.stack([_centre(pointers, rows) for rows in members])
    return [
        _finding(pointers, members[group], centres[group], sites, view, model)
        for group in _own_defects(pointers, members, centres, _SHADOW * view.period_px)
    ]


def _own_defects(
    pointers: Residuals,
    members: list[NDArray[np.intp]],
    centres: NDArray[np.float64],
    reach_px: float,
) -> list[int]:
    """List the groups that are defects of their own and not the flank of a stronger one nearby."""
    height = np.array([np.abs(pointers.amplitude[rows]).max() for rows in members])
    cut_off = np.array([pointers.cut_off[rows].all() for rows in members])
    own = []
    for group in range(len(members)):
        near = np.linalg.norm(centres - centres[group], axis=1) < reach_px
        near[group] = False
        flank = height[group] < _SHADOW_SHARE * height[near].max(initial=0.0)
        outside = cut_off[group] and (near & ~cut_off).any()
        if not (flank or outside):
            own.append(group)
    return own


def _point(view: View, model: PattersonModel, sites: NDArray[np.intp]) -> Residuals:
    """Ask each window what disturbs it."""
    places = _inside(expected_places(view, sites), view.image.shape, model.patch_size_px // 2)
    pointers = make_residuals(len(sites))
    reach_px = _LOBES_APART * model.rule.period_px
    window_residuals(view.image, places, model.mean_patch, reach_px, pointers)
    return pointers


def _inside(
    places_yx: NDArray[np.float64], shape: tuple[int, ...], half: int
) -> NDArray[np.float64]:
    """Keep windows whole: a site was far enough inside, what its neighbours want may not be."""
    return np.clip(places_yx, half, np.array(shape) - 1.0 - half)


def _centre(pointers: Residuals, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """Mean of the peaks of some windows, weighted by their height."""
    weights = np.abs(pointers.amplitude[rows])
    centre: NDArray[np.float64] = weights @ pointers.peak_yx[rows] / max(weights.sum(), 1e-30)
    return centre


def _finding(
    pointers: Residuals,
    rows: NDArray[np.intp],
    place: NDArray[np.float64],
    sites: NDArray[np.intp],
    view: View,
    model: PattersonModel,
) -> Finding:
    best = rows[np.argmax(np.abs(pointers.amplitude[rows]))]
    # A column far from its site may have its bump in one window and its hole in the next; what
    # only another window shows must be clearer.
    other = rows[np.argmax(pointers.opposite[rows])]
    share = _FOREIGN_LOBE_SHARE
    if pointers.opposite[best] > _least_lobe(pointers, best, best, _LOBE_SHARE):
        other, share = best, _LOBE_SHARE
    displaced = bool(pointers.opposite[other] > _least_lobe(pointers, best, other, share))
    if displaced:
        # Hole and bump lie about a column's width beyond both ends of the shift: its middle is
        # known, its length is not.
        place = (pointers.peak_yx[other] + pointers.opposite_yx[other]) / 2
    kind, ratio = ("displaced", None) if displaced else _kind(pointers, int(best), model)
    return Finding(
        site=int(sites[rows[0]]),
        pixel_yx=(float(place[0]), float(place[1])),
        cov_px=_covariance(pointers, rows, place, model.rule.smooth_sigma_px),
        kind=kind,
        intensity_ratio=ratio,
        extent_px=0.5 * view.period_px,
    )


def _least_lobe(pointers: Residuals, best: np.intp, other: np.intp, share: float) -> float:
    """Return what an opposite lobe must exceed."""
    noise = _LOBE_SIGMAS * float(pointers.noise[other])
    return max(share * abs(float(pointers.amplitude[best])), noise)


def _kind(pointers: Residuals, best: int, model: PattersonModel) -> tuple[str, float | None]:
    """Word for what is wrong, and the observed over the expected intensity where there is one."""
    amplitude = float(pointers.amplitude[best])
    expected = float(pointers.expected[best]) - model.background
    if expected < _NO_COLUMN_BELOW * float(np.ptp(model.mean_patch)):
        return ("extra" if amplitude > 0 else "unknown"), None
    ratio = max((expected + amplitude) / expected, 0.0)
    if ratio < _VACANCY_BELOW:
        return "vacancy", ratio
    return ("deficit" if ratio < 1 else "excess"), ratio


def _covariance(
    pointers: Residuals,
    rows: NDArray[np.intp],
    place: NDArray[np.float64],
    width_px: float,
) -> tuple[float, float, float]:
    """Spread of the pointers about the place, and what noise does to the strongest of them."""
    best = rows[np.argmax(np.abs(pointers.amplitude[rows]))]
    # Top of a Gaussian of this width under noise: width x noise / amplitude.
    ratio = pointers.noise[best] / max(abs(pointers.amplitude[best]), 1e-30)
    floor = float(np.clip((width_px * ratio) ** 2, 0.01, width_px**2))
    if len(rows) < 2:
        return floor, 0.0, floor
    steps = pointers.peak_yx[rows] - place
    spread = steps.T @ steps / len(rows) / (len(rows) - 1)
    return float(spread[0, 0]) + floor, float(spread[0, 1]), float(spread[1, 1]) + floor
