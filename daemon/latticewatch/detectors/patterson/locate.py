"""From strange sites to defects: which column is wrong, where it is, and in what way.

A missing column disturbs every window that holds it. The residual of each strange window against
the mean window of the reference points at the column; sites that point at one place are one
defect, reported at the column and not at the site.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.patterson.model import PattersonModel
from latticewatch.detectors.protocols import Finding, Scores
from latticewatch.detectors.sites import View, expected_places
from latticewatch.kernels.neighbours import group_points, make_buckets
from latticewatch.kernels.patches import add_windows
from latticewatch.kernels.residual import Residuals, make_residuals, window_residuals

# A frame where more sites than this stand out is not searched further: the best ones say enough.
_MOST_SITES = 600
_SAMPLE = 64  # sites that say which way round the crystal is
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


@dataclass(frozen=True, slots=True)
class _Groups:
    """Windows that point at one place; row g of every array is group g, strongest evidence first.

    Attributes
    ----------
    of : (M,)
        Group of each window.
    first, best, other : (G,)
        Windows with the strongest evidence, the strongest residual, the strongest counterpart.
    centre_yx : (G, 2)
        Mean of the peaks, weighted by their height; pixels.
    height : (G,)
        Magnitude of the strongest residual.
    cut_off : (G,) bool
        All windows see it at their border only.
    """

    of: NDArray[np.int32]
    first: NDArray[np.intp]
    best: NDArray[np.intp]
    other: NDArray[np.intp]
    centre_yx: NDArray[np.float64]
    height: NDArray[np.float64]
    cut_off: NDArray[np.bool_]


def locate(
    view: View,
    model: PattersonModel,
    sites: NDArray[np.intp],
    scores: Scores,
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
    scores
        Of the view.
    """
    if not len(sites):
        return []
    sites = sites[np.lexsort((sites, scores.p_value[sites]))][:_MOST_SITES]
    period_px = view.period_px
    pointers = _point(view, model, sites)
    groups = _gather(pointers, _SAME_COLUMN * period_px, view.image.shape)
    displaced, places = _places(pointers, groups)
    covariance = _covariances(pointers, groups, places, model.rule.smooth_sigma_px)
    kinds = _kinds(pointers, groups, displaced, model)
    findings = []
    for group in np.flatnonzero(_is_own_defect(groups, _SHADOW * period_px)):
        site = int(sites[groups.first[group]])
        findings.append(
            Finding(
                pixel_yx=(float(places[group, 0]), float(places[group, 1])),
                cov_px=covariance[group],
                kind=kinds[group][0],
                intensity_ratio=kinds[group][1],
                extent_px=0.5 * period_px,
                p_value=float(scores.p_value[site]),
                parts=tuple((name, float(z[site]), float(p[site])) for name, z, p in scores.parts),
                tail=bool(scores.tail[site]),
            )
        )
    return findings


def _point(view: View, model: PattersonModel, sites: NDArray[np.intp]) -> Residuals:
    """Ask each window what disturbs it."""
    half = model.patch_size_px // 2
    # A site was far enough inside; what its neighbours want may not be.
    last = np.array(view.image.shape) - 1.0 - half
    places = np.clip(expected_places(view, sites), half, last)
    pointers = make_residuals(len(sites))
    reach_px = _LOBES_APART * model.rule.period_px
    window_residuals(view.image, places, _matching_patch(view, model), reach_px, pointers)
    return pointers


def _matching_patch(view: View, model: PattersonModel) -> NDArray[np.float32]:
    """Mean window as it is, or turned by 180 degrees, whichever the frame shows.

    Patterson maps of the two are the same, so a crystal of the other domain is scored; compared
    with the wrong one of them every site would show columns too many and too few.
    """
    half = model.patch_size_px // 2
    y, x = view.places_yx.T
    height, width = view.image.shape
    usual = (y >= half) & (y < height - 1 - half) & (x >= half) & (x < width - 1 - half)
    sites = np.flatnonzero(usual & ~view.predicted)
    shown = np.empty_like(model.mean_patch)
    add_windows(view.image, view.places_yx[sites[:: max(1, len(sites) // _SAMPLE)]], shown)
    turned = np.ascontiguousarray(model.mean_patch[::-1, ::-1])
    as_it_is, the_other = np.vdot(shown, model.mean_patch), np.vdot(shown, turned)
    return turned if the_other > as_it_is else model.mean_patch


def _gather(pointers: Residuals, reach_px: float, shape: tuple[int, ...]) -> _Groups:
    """Group windows, given in order of their evidence, by the place that they point at."""
    of = np.empty(len(pointers.amplitude), np.int32)
    buckets = make_buckets((shape[0], shape[1]), reach_px, len(of))
    n_groups = group_points(pointers.peak_yx, reach_px, buckets, of)
    weight = np.abs(pointers.amplitude)
    best = _largest_of_each(weight, of)
    total = np.maximum(np.bincount(of, weight, n_groups), 1e-30)
    centre = [np.bincount(of, weight * pointers.peak_yx[:, k], n_groups) / total for k in (0, 1)]
    return _Groups(
        of=of,
        first=np.unique(of, return_index=True)[1],
        best=best,
        other=_largest_of_each(pointers.opposite, of),
        centre_yx=np.stack(centre, axis=1),
        height=weight[best],
        cut_off=np.bincount(of, pointers.cut_off, n_groups) == np.bincount(of, minlength=n_groups),
    )


def _largest_of_each(values: NDArray[np.float64], groups: NDArray[np.int32]) -> NDArray[np.intp]:
    """Row of the largest value of each group, the first of equal ones."""
    order = np.lexsort((-values, groups))
    return order[np.unique(groups[order], return_index=True)[1]]


def _is_own_defect(groups: _Groups, reach_px: float) -> NDArray[np.bool_]:
    """Tell defects of their own from flanks of a stronger one nearby."""
    apart = groups.centre_yx[:, None] - groups.centre_yx
    near = np.square(apart).sum(axis=2) < reach_px**2
    np.fill_diagonal(near, val=False)
    flank = groups.height < _SHADOW_SHARE * (near * groups.height).max(axis=1)
    outside = groups.cut_off & (near & ~groups.cut_off).any(axis=1)
    own: NDArray[np.bool_] = ~(flank | outside)
    return own


def _places(pointers: Residuals, groups: _Groups) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which groups are displaced columns (G,), and where each group is (G, 2)."""
    least = _LOBE_SHARE * groups.height
    own = pointers.opposite[groups.best] > np.maximum(
        least, _LOBE_SIGMAS * pointers.noise[groups.best]
    )
    # A column far from its site may have its bump in one window and its hole in the next; what
    # only another window shows must be clearer.
    least = _FOREIGN_LOBE_SHARE * groups.height
    foreign = pointers.opposite[groups.other] > np.maximum(
        least, _LOBE_SIGMAS * pointers.noise[groups.other]
    )
    displaced = own | foreign
    shown = np.where(own, groups.best, groups.other)
    # Hole and bump lie about a column's width beyond both ends of the shift: its middle is known,
    # its length is not.
    middle = (pointers.peak_yx[shown] + pointers.opposite_yx[shown]) / 2
    return displaced, np.where(displaced[:, None], middle, groups.centre_yx)


def _kinds(
    pointers: Residuals,
    groups: _Groups,
    displaced: NDArray[np.bool_],
    model: PattersonModel,
) -> list[tuple[str, float | None]]:
    """Word for what is wrong, and the observed over the expected intensity where there is one."""
    amplitude = pointers.amplitude[groups.best]
    expected = pointers.expected[groups.best] - model.background
    least = _NO_COLUMN_BELOW * float(np.ptp(model.mean_patch))
    return [
        ("displaced", None) if moved else _kind(float(more), float(there), least)
        for moved, more, there in zip(displaced, amplitude, expected, strict=True)
    ]


def _kind(amplitude: float, expected: float, least: float) -> tuple[str, float | None]:
    if expected < least:
        return ("extra" if amplitude > 0 else "unknown"), None
    ratio = max((expected + amplitude) / expected, 0.0)
    if ratio < _VACANCY_BELOW:
        return "vacancy", ratio
    return ("deficit" if ratio < 1 else "excess"), ratio


def _covariances(
    pointers: Residuals,
    groups: _Groups,
    places: NDArray[np.float64],
    width_px: float,
) -> list[tuple[float, float, float]]:
    """Spread of the peaks about each place, and what noise does to the strongest of them."""
    # Top of a Gaussian of this width under noise: width x noise / amplitude.
    ratio = pointers.noise[groups.best] / np.maximum(groups.height, 1e-30)
    floor = np.clip(np.square(width_px * ratio), 0.01, width_px**2)
    step_y, step_x = (pointers.peak_yx - places[groups.of]).T
    n_members = np.bincount(groups.of)
    # Of a mean; a single peak has no spread to tell.
    scale = n_members * np.maximum(n_members - 1, 1) * np.where(n_members > 1, 1.0, np.inf)
    var_yy, cov_yx, var_xx = (
        np.bincount(groups.of, product) / scale
        for product in (step_y * step_y, step_y * step_x, step_x * step_x)
    )
    table = np.stack([var_yy + floor, cov_yx, var_xx + floor], axis=1)
    return [(float(yy), float(yx), float(xx)) for yy, yx, xx in table]
