"""Wide parts of a frame that hold another crystal than the model's, and where they end."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.symmetry.evidence import Evidence, Grid, smoothed
from latticewatch.detectors.symmetry.outlines import Places, trace_lines

_SMOOTHING_CELLS = 1.0
_STRANGE_Z = 1.5  # of the smoothed evidence
_MOST_Z = 12.0  # a single wild cell is no region
_EDGE_SHARE = 0.5  # of the strangeness inside, since second moments mix by area
_REACH_CELLS = 4  # from the core of a region to its edge and beyond


@dataclass(frozen=True, slots=True)
class Region:
    """Another crystal.

    Attributes
    ----------
    cells : (R, C) bool
        Its own.
    lines
        Places of the grid along which it ends, and whether they close.
    """

    cells: NDArray[np.bool_]
    lines: list[tuple[Places, bool]]


def find_regions(
    evidence: Evidence, blocked: NDArray[np.bool_], least_width_cells: float
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
    """
    known = np.isfinite(evidence.z)
    z = smoothed(np.clip(np.where(blocked, np.nan, evidence.z), -3.0, _MOST_Z), _SMOOTHING_CELLS)
    if not (z[known] > _STRANGE_Z).any():
        return []
    change = smoothed(np.where(blocked, np.nan, evidence.change), _SMOOTHING_CELLS)
    change = np.nan_to_num(change)
    size = int(least_width_cells) | 1
    highest = ndimage.maximum_filter(change, size)
    strange = (np.nan_to_num(z) > _STRANGE_Z) & (change > _EDGE_SHARE * highest) & ~blocked
    inside = _depth(strange, known)
    core = inside >= 0.5 * least_width_cells
    labels, n_regions = ndimage.label(core & known)
    regions = []
    for number in range(1, n_regions + 1):
        own = labels == number
        regions.append(_region(own, change, known & ~blocked, least_width_cells))
    return [region for region in regions if region.lines]


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
    core: NDArray[np.bool_], change: Grid, known: NDArray[np.bool_], least_width_cells: float
) -> Region:
    """Draw the line where the strangeness falls to half."""
    edge = _EDGE_SHARE * float(np.median(change[core]))
    reach = 0.5 * least_width_cells + _REACH_CELLS
    near = ndimage.distance_transform_edt(~core) <= reach
    level = np.where(near, change - edge, -edge)
    cells, _ = ndimage.label((level > 0) & known)
    mine = np.unique(cells[core & (cells > 0)])
    own = np.isin(cells, mine)
    level[(level > 0) & ~own & known] = -1e-9
    level[~known] = np.nan
    return Region(own, trace_lines(level))
