"""Where there is no lattice: vacuum, which is masked, and amorphous patches, which are listed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.contour_lines import trace_lines
from latticewatch.detectors.symmetry.evidence import Grid, smoothed
from latticewatch.detectors.symmetry.outlines import Places, filled

Mask = NDArray[np.bool_]

_SMOOTHING_CELLS = 0.7
_FAR = 5.0  # robust standard deviations of the logarithm of the variance
# Of the crystal's variance: that of a wedge goes with the square of its brightness.
_LARGEST_CORE = 0.5
_EDGE_SHARE = 0.5  # of the way from the variance inside to that of the crystal
_EMPTY_SHARE = 0.25  # of the cells of a dark part that are smooth: noise can hide others
# A box of two cells sees a hole of one cell half, and draws any speck as wide as itself.
_SMALLEST_CELLS = 4.0
_SMALLEST_PERIODS = 2.0
_SLENDER = 4.0  # length over width of what is rather a line
_CLEAR_SKEWNESS = 0.2
_RIM_CELLS = 2  # beyond a patch, to which its windows and boxes reach
_EIGHT = np.ones((3, 3), bool)


@dataclass(frozen=True, slots=True)
class Disorder:
    """Cells without a lattice.

    Attributes
    ----------
    vacuum : (R, C) bool
        Smooth, and darker than the gaps between the columns (brighter where columns are dark).
    patches
        Of each amorphous patch its outline (N, 2), closed, in places of the grid, and its cells.
    near : (R, C) bool
        Cells whose windows reach into either.
    smooth : (R, C)
        Variance over the model's bound, smoothed; NaN where unknown.
    """

    vacuum: Mask
    patches: list[tuple[Places, Mask]]
    near: Mask
    smooth: Grid


def gap_contrast(
    patch: NDArray[np.float32],
    level_counts: float,
    sigmas_px: tuple[float, float],
    period_px: float,
) -> tuple[float, float]:
    """Levels that no crystal has, less its mean: darker than its gaps, brighter than its gaps.

    Columns are narrower than what lies between them, so that the histogram leans to their side.
    The side of the columns has no limit, infinite; where it does not clearly lean, both have one.

    Parameters
    ----------
    patch
        Filtered model patch, in levels.
    level_counts
        Of the raw frame, per level.
    sigmas_px, period_px
        Of the difference of Gaussians, and of the lattice, in pixels of the patch: what the filter
        leaves of a wave of that length is made good for.
    """
    kept = [np.exp(-2.0 * (np.pi * sigma / period_px) ** 2) for sigma in sigmas_px]
    off = patch - patch.mean()
    skewness = float(np.mean(off**3)) / max(float(np.mean(off**2)) ** 1.5, 1e-12)
    low, high = (float(level) for level in np.quantile(off, (0.1, 0.9)))
    scale = level_counts / max(float(kept[0] - kept[1]), 0.05)
    return (
        low * scale if skewness > -_CLEAR_SKEWNESS else -np.inf,
        high * scale if skewness < _CLEAR_SKEWNESS else np.inf,
    )


def find_disorder(
    variance: NDArray[np.float32],
    level: NDArray[np.float32],
    gaps: Callable[[], tuple[float, float]],
    period_cells: float,
) -> Disorder:
    """Tell vacuum and amorphous patches from crystal.

    Parameters
    ----------
    variance : (R, C)
        Over the model's lower bound; NaN where unknown.
    level : (R, C)
        Local mean of the raw frame.
    gaps
        Gives `gap_contrast`, times the frame's gain; asked only where something is smooth.
    period_cells
        Of the lattice.
    """
    none = np.zeros(variance.shape, bool)
    known = np.isfinite(variance) & np.isfinite(level) & (variance >= 0)
    variance = np.where(known, variance, np.float32(np.nan))
    smooth = np.where(known, smoothed(variance, _SMOOTHING_CELLS), np.nan)
    if not known.any():
        return Disorder(none, [], none, smooth)
    highest = _core_level(smooth[known])
    core = known & (np.nan_to_num(smooth, nan=np.inf) < highest)
    if not core.any() or core[known].all():
        return Disorder(none, [], none, smooth)
    usual = float(np.median(level[known & ~core]))
    darkest, brightest = gaps()
    dark = known & ((level - usual < darkest) | (level - usual > brightest))
    vacuum = _vacuum(core, dark)
    typical = float(np.median(smooth[known & ~core]))
    patches = _patches(core & ~_grown(vacuum), filled(smooth, known), typical, period_cells)
    near = vacuum.copy()
    for _, cells in patches:
        near |= cells
    return Disorder(vacuum, patches, _grown(near), smooth)


def _core_level(variance: Grid) -> float:
    """Variance below which no crystal is: the model's bound, or what the frame itself tells.

    Single cells of the reference fall to the bound; means over a few cells stay far above it.
    """
    log = np.log(np.maximum(variance, 1e-6))
    middle = float(np.median(log))
    above = log[log > middle]
    spread = float(np.median(above - middle)) / 0.6745 if len(above) else 0.0
    lowest = float(np.exp(middle - _FAR * max(spread, 0.02)))
    return min(max(1.0, lowest), _LARGEST_CORE * float(np.exp(middle)))


def _grown(mask: Mask) -> Mask:
    if not mask.any():
        return mask
    return np.asarray(ndimage.binary_dilation(mask, _EIGHT, iterations=_RIM_CELLS))


def _vacuum(core: Mask, dark: Mask) -> Mask:
    """Parts of dark cells of which some are smooth.

    Shot noise behind a high gain can have as much variance as a lattice.
    """
    labels, n_parts = ndimage.label(dark, _EIGHT)
    if n_parts == 0:
        return np.zeros_like(core)
    share = ndimage.mean(core, labels, np.arange(n_parts + 1))
    empty = np.concatenate([[False], share[1:] > _EMPTY_SHARE])
    return np.asarray(empty[labels])


def _patches(
    core: Mask, smooth: Grid, typical: float, period_cells: float
) -> list[tuple[Places, Mask]]:
    """Outlines and cells of patches, to where the variance is half way to the crystal's."""
    side = max(_SMALLEST_CELLS, _SMALLEST_PERIODS * period_cells)
    labels, n_parts = ndimage.label(core, _EIGHT)
    taken = np.zeros_like(core)
    patches = []
    for number in range(1, n_parts + 1):
        own = (labels == number) & ~taken
        if not own.any():
            continue
        edge = smooth[own].min() + _EDGE_SHARE * (typical - float(smooth[own].min()))
        parts, _ = ndimage.label(smooth < edge)
        mine = np.unique(parts[own])
        # No box carries a patch farther than this; noise would, from one weak place to the next.
        around = np.isin(parts, mine[mine > 0])
        within = around & _grown(own)
        cells = np.asarray(ndimage.binary_fill_holes(within))
        taken |= cells
        if not _is_patch(cells, side) or _is_line(around):
            continue
        # The frame's edge closes a patch that it cuts.
        level = np.where(cells, np.maximum(edge - smooth, 1e-9), np.minimum(edge - smooth, -1e-9))
        level = np.pad(level, 1, mode="edge")
        lines = trace_lines(np.pad(level, 1, constant_values=-1e3 * typical))
        outlines = [line - 2.0 for line, closed in lines if closed]
        if outlines:
            patches.append((max(outlines, key=len), cells))
    return patches


def _is_patch(cells: Mask, side_cells: float) -> bool:
    """Tell a patch from a speck and from a line."""
    return _width(cells) >= side_cells and not _is_line(cells)


def _is_line(cells: Mask) -> bool:
    return float(cells.sum()) > _SLENDER * _width(cells) ** 2


def _width(cells: Mask) -> float:
    """Diameter in cells of the largest disc within; one of one cell has a depth of one."""
    return 2.0 * float(ndimage.distance_transform_edt(np.pad(cells, 1)).max()) - 1.0
