"""Wide parts of a frame that hold another crystal than the model's, and where they end."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize, special

from latticewatch.detectors.contour_lines import trace_lines
from latticewatch.detectors.symmetry.evidence import Evidence, Grid, smoothed
from latticewatch.detectors.symmetry.outlines import (
    Places,
    filled,
    length_of,
    normals,
    resampled,
    rounded,
    straightened,
)
from latticewatch.detectors.symmetry.ridges import profiles

_SMOOTHING_CELLS = 1.0
_STRANGE_Z = 2.0  # of the smoothed evidence
_MOST_Z = 8.0  # a few wild cells are no region
_EDGE_SHARE = 0.5  # of the strangeness inside, since second moments mix by area
_REACH_CELLS = 4.0  # from the core of a region to its edge and beyond
_SLENDER = 3.0  # length over width
_SLENDER_PERIODS = 1.5
_FIT_CELLS = 3.0
_END_CELLS = 1.5  # to either side: what smoothing reaches
# A box of two cells has 0.6, filter, window and the bends of a line add theirs. Drawn boundaries
# without a seam have about this; narrower edges have one, and are a cell farther in.
_EDGE_SIGMA_CELLS = 0.9
_MOST_REGIONS = 16  # chosen: more parts of another crystal than an operator would look at
_MIDDLES_CELLS = np.arange(-1.6, 1.61, 0.2)


@dataclass(frozen=True, slots=True)
class Region:
    """Another crystal.

    Attributes
    ----------
    cells : (R, C) bool
        Its own.
    lines
        Places of the grid along which it ends, and whether they close; none where the region is
        a band, which is a line itself.
    width_cells
        At its widest.
    """

    cells: NDArray[np.bool_]
    lines: list[tuple[Places, bool]]
    width_cells: float


def find_regions(
    evidence: Evidence,
    blocked: NDArray[np.bool_],
    least_width_cells: float,
    period_cells: float,
) -> list[Region]:
    """Regions of another crystal, each with the lines along which it ends.

    Parameters
    ----------
    evidence
        Of a map.
    blocked : (R, C) bool
        Cells that see something without a lattice: no line passes them.
    least_width_cells
        What is narrower is a line itself.
    period_cells
        Of the lattice: a slender region must be wider by as many cells, since faults of two
        layers are.
    """
    known = np.isfinite(evidence.z) & ~blocked
    z = np.where(known, np.clip(evidence.z, -3.0, _MOST_Z), np.nan)
    z = np.nan_to_num(smoothed(z, _SMOOTHING_CELLS))
    strange = z > _STRANGE_Z
    if not (strange & known).any():
        return []
    change = np.where(known, evidence.change, np.nan)
    smooth = np.nan_to_num(smoothed(change, 0.5 * _SMOOTHING_CELLS))
    parts, _ = ndimage.label(strange)
    regions = []
    for number in _largest(parts):
        whole, wide, width = _widest(parts == number, smooth, known, least_width_cells)
        for own in _pieces(whole):
            core = wide & own
            if not core.any():
                continue
            band = 4.0 * float(_depth(own, known)[own].mean()) - 3.0  # of a strip, its width
            most = least_width_cells + _SLENDER_PERIODS * period_cells
            if band < most and _length(own) > _SLENDER * band:
                regions.append(Region(own, [], band))
            else:
                regions.append(_region(core, change, known, least_width_cells, width))
    return regions


def _pieces(cells: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Split what is strange by half: where two faults meet, the weaker one is by itself."""
    pieces, n_pieces = ndimage.label(cells, np.ones((3, 3)))
    return [pieces == number for number in range(1, n_pieces + 1)]


def _largest(parts: NDArray[np.integer[Any]]) -> list[int]:
    """Numbers of the parts that could be regions, in their order, the largest of too many.

    Where point defects are dense each is a part: 157 of them took a third of a second.
    """
    sizes = np.bincount(parts.ravel())[1:]
    chosen = np.argsort(-sizes, kind="stable")[:_MOST_REGIONS]
    return sorted(int(number) + 1 for number in chosen)


def _widest(
    part: NDArray[np.bool_], change: Grid, known: NDArray[np.bool_], least_width_cells: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], float]:
    """Cells of a part beyond half of its middle, those of them far from its edge, and its width.

    However strange a fault is, half of its crest is no farther apart than the boxes and itself.
    """
    if part.sum() < least_width_cells:
        return part, np.zeros_like(part), 0.0
    depth = _depth(part, known)
    deepest = part & (depth >= 0.8 * depth.max())
    own = part & (change > _EDGE_SHARE * float(np.median(change[deepest])))
    # One cell less: the depth of the middle of three cells is two.
    across = 2.0 * _depth(own, known) - 1.0
    # Only known cells tell how wide a region is that the frame cuts.
    core = known & own & (across >= least_width_cells)
    width = float(across[known & own].max()) if (known & own).any() else 0.0
    return own, core, width


def _length(cells: NDArray[np.bool_]) -> float:
    """Length of a bar with the same second moment along its long axis."""
    off = np.argwhere(cells).astype(np.float64)
    off -= off.mean(axis=0)
    return float(np.sqrt(12.0 * np.linalg.eigvalsh(off.T @ off / len(off))[-1]))


def _depth(mask: NDArray[np.bool_], known: NDArray[np.bool_]) -> Grid:
    """Distance of each cell of a mask to the next known cell outside it, in cells.

    What lies beyond the frame is taken as inside: a region that the frame cuts is as wide as it
    would be.
    """
    outside = known & ~mask
    if not outside.any():
        return np.where(mask, np.inf, 0.0)
    depth: Grid = ndimage.distance_transform_edt(~outside)
    return np.where(mask, depth, 0.0)


def _region(
    core: NDArray[np.bool_],
    change: Grid,
    known: NDArray[np.bool_],
    least_width_cells: float,
    width_cells: float,
) -> Region:
    """Draw the line where the strangeness falls to half."""
    inside = float(np.median(change[core]))
    outside_cells = known & (ndimage.distance_transform_edt(~core) > least_width_cells)
    outside = float(np.median(change[outside_cells])) if outside_cells.any() else 0.0
    edge = outside + _EDGE_SHARE * (inside - outside)
    # A seam brighter than the inside must not push the line out, nor a wild cell.
    smooth = smoothed(np.minimum(change, inside), _SMOOTHING_CELLS)
    near = ndimage.distance_transform_edt(~core) <= 0.5 * least_width_cells + _REACH_CELLS
    level = np.where(near, filled(smooth, np.isfinite(smooth)) - edge, -edge)
    parts, _ = ndimage.label(level > 0)
    mine = np.unique(parts[core & (parts > 0)])
    own = np.asarray(ndimage.binary_fill_holes(np.isin(parts, mine)))
    level = np.where(own, np.maximum(level, 1e-9), np.minimum(level, -1e-9))
    margin = ndimage.binary_closing(np.pad(known, 2), np.ones((3, 3)))[2:-2, 2:-2]
    lines = []
    for line, closed in trace_lines(np.where(margin, level, np.nan)):
        if length_of(line, closed) < least_width_cells:
            continue
        line = resampled(line, closed, 0.5)
        line = rounded(
            line if closed else straightened(line, known, _END_CELLS, blur=2), closed, 3.0
        )
        lines.append((_moved(line, closed, filled(change, np.isfinite(change))), closed))
    return Region(own, lines, width_cells)


def _moved(line: Places, closed: bool, change: Grid) -> Places:
    """Move a line as a whole to the middle of the edge.

    Cut columns make a seam with a disorder of its own, which pushes the place of half the
    inside's strangeness up to a cell out. Strangeness is the length of a vector, of which edge
    and seam are parts that do not point alike: its square across the line is fitted by the
    squares of a step and of a bump about one middle.
    """
    offsets, values = profiles(line, closed, change, _FIT_CELLS)
    seen = np.square(np.median(values, axis=0))
    if seen[:2].mean() < seen[-2:].mean():
        offsets, seen = -offsets, seen
    best, shift = np.inf, 0.0
    for middle in _MIDDLES_CELLS:
        at = (offsets - middle) / _EDGE_SIGMA_CELLS
        step, bump = special.ndtr(-at), np.exp(-0.5 * at**2)
        shapes = np.stack([step**2, bump**2, np.ones_like(at)], axis=1)
        parts, _ = optimize.nnls(shapes, seen)
        left = float(np.sum((np.sqrt(shapes @ parts) - np.sqrt(seen)) ** 2))
        if left < best:
            best, shift = left, float(middle)
    sign = 1.0 if offsets[0] < 0 else -1.0
    place: Places = line + sign * shift * normals(line, closed)
    return place
