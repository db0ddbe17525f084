"""Where there is no lattice: vacuum, which is masked, and amorphous patches, which are listed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.symmetry.evidence import Evidence, Grid, smoothed
from latticewatch.detectors.symmetry.outlines import Places, trace_lines

_SMOOTHING_CELLS = 1.0
_CORE = 1.0  # over the model's lower bound, after smoothing: no clean place is so smooth
_EDGE_SHARE = 0.5  # of the way from the variance inside to that of the crystal
# A box of 16 px sees half of a hole of 8 px; a vacancy of a bright column is one such hole.
_SMALLEST_CELLS = 3.0
_SMALLEST_PERIODS = 1.5
_RIM_CELLS = 2  # beyond a patch, to which its windows and boxes reach


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
    """

    vacuum: NDArray[np.bool_]
    patches: list[tuple[Places, NDArray[np.bool_]]]
    near: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Brightness:
    """Of the model patch, in units of the raw frame at gain one.

    Attributes
    ----------
    gap
        Level of the gaps between columns, less the mean of the patch: negative where columns are
        bright, positive where they are dark.
    """

    gap: float


def find_disorder(
    variance: NDArray[np.float32],
    level: NDArray[np.float32],
    evidence: Evidence,
    brightness: Brightness,
    step_px: float,
    period_px: float,
) -> Disorder:
    """Tell vacuum and amorphous patches from crystal.

    Parameters
    ----------
    variance : (R, C)
        Over the model's lower bound.
    level : (R, C)
        Local mean of the raw frame.
    evidence
        Of the same map.
    brightness
        Of the model patch, times the root of the frame's gain.
    step_px, period_px
        Between cells; of the crystal.
    """
    known = np.isfinite(variance)
    smooth = smoothed(variance, _SMOOTHING_CELLS)
    none = np.zeros(variance.shape, bool)
    clean = known & (smooth > _CORE)
    if not clean.any() or not (smooth[known] < _CORE).any():
        return Disorder(none, [], none)
    usual_level = float(np.median(level[clean]))
    dark = (level - usual_level) * np.sign(brightness.gap) > abs(brightness.gap)
    core = known & (smooth < _CORE)
    vacuum, core = _grown_vacuum(core, dark & known, level)
    typical = float(np.median(smooth[clean]))
    patches = []
    side = max(_SMALLEST_CELLS, _SMALLEST_PERIODS * period_px / step_px)
    labels, n_patches = ndimage.label(core, np.ones((3, 3)))
    for number in range(1, n_patches + 1):
        own = labels == number
        patch = _patch(own, smooth, known & ~vacuum, typical)
        if patch is not None and patch[1].sum() >= np.pi / 4 * side**2:
            patches.append(patch)
    near = vacuum.copy()
    for _, cells in patches:
        near |= cells
    if near.any():
        near = ndimage.binary_dilation(near, np.ones((3, 3)), iterations=_RIM_CELLS)
    return Disorder(vacuum, patches, near)


def _grown_vacuum(
    core: NDArray[np.bool_], dark: NDArray[np.bool_], level: NDArray[np.float32]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Cells of vacuum, and what of the smooth cells is none.

    Vacuum is dark cells of which some are smooth: shot noise behind a high gain can have as much
    variance as a lattice.
    """
    labels, n_parts = ndimage.label(dark, np.ones((3, 3)))
    if n_parts == 0:
        return np.zeros_like(core), core
    share = ndimage.mean(core, labels, np.arange(n_parts + 1))
    empty = np.concatenate([[False], share[1:] > 0.25])
    vacuum: NDArray[np.bool_] = empty[labels]
    return vacuum, core & ~ndimage.binary_dilation(vacuum, np.ones((3, 3)), iterations=_RIM_CELLS)


def _patch(
    core: NDArray[np.bool_], smooth: Grid, known: NDArray[np.bool_], typical: float
) -> tuple[Places, NDArray[np.bool_]] | None:
    """Outline and cells of a patch, to where the variance is half way to the crystal's."""
    inside = float(np.median(smooth[core]))
    edge = inside + _EDGE_SHARE * (typical - inside)
    below = known & (smooth < edge)
    labels, _ = ndimage.label(below)
    mine = np.unique(labels[core & below])
    cells = np.isin(labels, mine[mine > 0])
    if not cells.any():
        return None
    cells = ndimage.binary_fill_holes(cells)
    near = ndimage.binary_dilation(cells, np.ones((3, 3)))
    level = np.where(near & known, edge - smooth, -1e-9 - abs(edge))
    level[cells & (level <= 0)] = 1e-9
    lines = [line for line, closed in trace_lines(np.pad(level, 1, constant_values=-1.0)) if closed]
    if not lines:
        return None
    return max(lines, key=len) - 1.0, cells
