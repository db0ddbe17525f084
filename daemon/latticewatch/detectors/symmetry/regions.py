"""Wide parts of a frame that hold another crystal than the model's, and where they end."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.symmetry.evidence import Evidence, Grid, smoothed
from latticewatch.detectors.symmetry.outlines import (
    Places,
    filled,
    length_of,
    normals,
    resampled,
    rounded,
    trace_lines,
)
from latticewatch.detectors.symmetry.ridges import profiles

_SMOOTHING_CELLS = 1.0
_STRANGE_Z = 2.0  # of the smoothed evidence
_MOST_Z = 8.0  # a few wild cells are no region
_EDGE_SHARE = 0.5  # of the strangeness inside, since second moments mix by area
_REACH_CELLS = 4.0  # from the core of a region to its edge and beyond
_SLENDER = 3.0  # length over width
_SLENDER_PERIODS = 1.5
_SEAM = 1.12  # crest over inside: the boundary has a disorder of its own
_SEAM_CELLS = 2.5


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
    inside = _depth(strange, known)
    # One cell less: the depth of the middle of three cells is two.
    core = known & (2.0 * inside - 1.0 >= least_width_cells)
    if not core.any():
        return []
    change = np.where(known, evidence.change, np.nan)
    parts, _ = ndimage.label(strange & known)
    regions = []
    for number in np.unique(parts[core]):
        own = (parts == number) & known
        width = 2.0 * float(inside[own].max()) - 1.0
        if width < least_width_cells + _SLENDER_PERIODS * period_cells and _is_slender(own, width):
            regions.append(Region(own, [], width))
            continue
        regions.append(_region(core & (parts == number), change, known, least_width_cells, width))
    return regions


def _is_slender(cells: NDArray[np.bool_], width_cells: float) -> bool:
    return float(cells.sum()) > _SLENDER * width_cells**2


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
        line = rounded(resampled(line, closed, 0.5), closed, 3.0)
        lines.append((_on_seam(line, closed, filled(change, np.isfinite(change))), closed))
    return Region(own, lines, width_cells)


def _on_seam(line: Places, closed: bool, change: Grid) -> Places:
    """Move a line as a whole to the crest of its own disorder, where it has one.

    What lies beyond half the inside's strangeness is then the seam, up to a cell too far out.
    """
    offsets, values = profiles(line, closed, change, _SEAM_CELLS)
    mean = values.mean(axis=0)
    ends = float(mean[:2].mean()), float(mean[-2:].mean())
    top = int(np.argmax(mean))
    if mean[top] < min(ends) + _SEAM * abs(ends[1] - ends[0]) or not 0 < top < len(mean) - 1:
        return line
    below, at, above = mean[top - 1 : top + 2]
    shift = offsets[top] + 0.25 * (below - above) / (below - 2 * at + above)
    moved: Places = line + shift * normals(line, closed)
    return moved
