"""From strange sites to defects: which column is wrong, where it is, and in what way.

A missing column disturbs every window that holds it. The residual of each strange window against
the mean window of the reference points at the column; sites that point at one place are one
defect, reported at the column and not at the site.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.calibration import MAD_TO_SIGMA
from latticewatch.detectors.patterson.model import PattersonModel
from latticewatch.detectors.protocols import Finding
from latticewatch.detectors.sites import View, expected_places
from latticewatch.kernels.neighbours import group_points

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
_BACKGROUND = 0.05  # quantile of a mean window that holds no column


@dataclass(frozen=True, slots=True)
class _Pointers:
    """What strange windows point at; row k of every array is window k.

    Attributes
    ----------
    places_yx : (M, 2)
        Strongest residual, pixels of the frame.
    amplitude : (M,)
        Its value in levels, with its sign.
    opposite_yx : (M, 2), opposite : (M,)
        Strongest residual of the other sign nearby, as a magnitude.
    expected : (M,)
        Level of the mean window there, above its background.
    noise : (M,)
        Standard deviation of the residual.
    cut_off : (M,) bool
        The strongest residual lies at the border of the window: what disturbs it is outside.
    """

    places_yx: NDArray[np.float64]
    amplitude: NDArray[np.float64]
    opposite_yx: NDArray[np.float64]
    opposite: NDArray[np.float64]
    expected: NDArray[np.float64]
    noise: NDArray[np.float64]
    cut_off: NDArray[np.bool_]


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
    n_groups = group_points(pointers.places_yx, _SAME_COLUMN * view.period_px, groups)
    members = [np.flatnonzero(groups == group) for group in range(n_groups)]
    centres = np.stack([_centre(pointers, rows) for rows in members])
    return [
        _finding(pointers, members[group], centres[group], sites, view, model)
        for group in _own_defects(pointers, members, centres, _SHADOW * view.period_px)
    ]


def _own_defects(
    pointers: _Pointers,
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


def _point(view: View, model: PattersonModel, sites: NDArray[np.intp]) -> _Pointers:
    """Compare windows with the mean window, shifted by each site's fraction of a pixel."""
    size, half = model.patch_size_px, model.patch_size_px // 2
    places = _inside(expected_places(view, sites), view.image.shape, half)
    centres = np.floor(places + 0.5).astype(np.intp)
    reach = np.arange(-half, half + 1)
    rows, columns = centres[:, 0, None] + reach, centres[:, 1, None] + reach
    windows = view.image[rows[:, :, None], columns[:, None, :]]
    windows = windows - windows.mean(axis=(1, 2), keepdims=True)
    expected = _shifted(model.mean_patch, places - centres)
    residual = windows - expected
    residual -= np.median(residual, axis=(1, 2), keepdims=True)
    noise = MAD_TO_SIGMA * np.median(np.abs(residual), axis=(1, 2))
    peaks = _peaks(np.abs(residual))
    window = np.arange(len(sites))
    amplitude = residual[window, peaks[:, 0], peaks[:, 1]]
    grid = np.arange(size)
    apart = np.hypot(grid[:, None] - peaks[:, :1, None], grid - peaks[:, 1:, None])
    near = apart <= _LOBES_APART * model.rule.period_px
    other = np.where(near, -np.sign(amplitude)[:, None, None] * residual, 0.0)
    others = _peaks(other)
    origin = centres - half
    background = np.quantile(model.mean_patch, _BACKGROUND)
    return _Pointers(
        places_yx=origin + _vertices(np.abs(residual), peaks),
        amplitude=amplitude.astype(np.float64),
        opposite_yx=origin + _vertices(other, others),
        opposite=np.maximum(other[window, others[:, 0], others[:, 1]], 0.0),
        expected=expected[window, peaks[:, 0], peaks[:, 1]] - background,
        noise=noise.astype(np.float64),
        cut_off=((peaks == 0) | (peaks == size - 1)).any(axis=1),
    )


def _inside(
    places_yx: NDArray[np.float64], shape: tuple[int, ...], half: int
) -> NDArray[np.float64]:
    """Keep windows whole: a site was far enough inside, what its neighbours want may not be."""
    return np.clip(places_yx, half, np.array(shape) - 1.0 - half)


def _shifted(patch: NDArray[np.float32], steps_yx: NDArray[np.float64]) -> NDArray[np.float64]:
    """Patch moved by each of the steps, at most half a pixel per axis, linear in between."""
    padded = np.pad(patch.astype(np.float64), 1, mode="edge")
    size = len(patch)
    moved: NDArray[np.float64] = np.zeros((len(steps_yx), size, size))
    for by in (-1, 0, 1):
        for bx in (-1, 0, 1):
            # Weight of the neighbour that the shift brings here.
            weight = np.maximum(0, 1 - np.abs(steps_yx - (by, bx))).prod(axis=1)
            part = padded[1 - by : 1 - by + size, 1 - bx : 1 - bx + size]
            moved += weight[:, None, None] * part
    return moved


def _peaks(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """[y, x] of the largest value of each window."""
    flat = values.reshape(len(values), -1).argmax(axis=1)
    return np.stack(np.divmod(flat, values.shape[2]), axis=1)


def _vertices(values: NDArray[np.float64], peaks: NDArray[np.intp]) -> NDArray[np.float64]:
    """Sub-pixel tops by a parabola along each axis; the pixel itself at the border."""
    window, last = np.arange(len(values)), values.shape[1] - 1
    inner = np.clip(peaks, 1, last - 1)
    vertices = peaks.astype(np.float64)
    for axis, (step_y, step_x) in enumerate(((1, 0), (0, 1))):
        before = values[window, inner[:, 0] - step_y, inner[:, 1] - step_x]
        here = values[window, inner[:, 0], inner[:, 1]]
        after = values[window, inner[:, 0] + step_y, inner[:, 1] + step_x]
        bend = 2 * here - before - after
        usable = (bend > 0) & (inner == peaks).all(axis=1)
        step = 0.5 * (after - before) / np.where(usable, bend, 1.0)
        vertices[:, axis] += np.where(usable, np.clip(step, -0.5, 0.5), 0.0)
    return vertices


def _centre(pointers: _Pointers, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    weights = np.abs(pointers.amplitude[rows])
    centre: NDArray[np.float64] = np.average(
        pointers.places_yx[rows], axis=0, weights=weights if weights.any() else None
    )
    return centre


def _finding(
    pointers: _Pointers,
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
        place = (pointers.places_yx[other] + pointers.opposite_yx[other]) / 2
    kind, ratio = ("displaced", None) if displaced else _kind(pointers, int(best), model)
    return Finding(
        site=int(sites[rows[0]]),
        pixel_yx=(float(place[0]), float(place[1])),
        cov_px=_covariance(pointers, rows, place, model.rule.smooth_sigma_px),
        kind=kind,
        intensity_ratio=ratio,
        extent_px=0.5 * view.period_px,
    )


def _least_lobe(pointers: _Pointers, best: np.intp, other: np.intp, share: float) -> float:
    """Return what an opposite lobe must exceed."""
    noise = _LOBE_SIGMAS * float(pointers.noise[other])
    return max(share * abs(float(pointers.amplitude[best])), noise)


def _kind(pointers: _Pointers, best: int, model: PattersonModel) -> tuple[str, float | None]:
    """Word for what is wrong, and the observed over the expected intensity where there is one."""
    amplitude, expected = float(pointers.amplitude[best]), float(pointers.expected[best])
    if expected < _NO_COLUMN_BELOW * float(np.ptp(model.mean_patch)):
        return ("extra" if amplitude > 0 else "unknown"), None
    ratio = max((expected + amplitude) / expected, 0.0)
    if ratio < _VACANCY_BELOW:
        return "vacancy", ratio
    return ("deficit" if ratio < 1 else "excess"), ratio


def _covariance(
    pointers: _Pointers,
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
    steps = pointers.places_yx[rows] - place
    spread = steps.T @ steps / len(rows) / (len(rows) - 1)
    return float(spread[0, 0]) + floor, float(spread[0, 1]), float(spread[1, 1]) + floor
