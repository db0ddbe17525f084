"""Where domains meet: lines in pixels, how sharp they are, how likely without a boundary."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.calibration import MAD_TO_SIGMA, upper_tail_p
from latticewatch.detectors.contour_lines import trace_lines
from latticewatch.detectors.patterson.bragg import BraggMaps
from latticewatch.detectors.patterson.domains import DomainMap

Places = NDArray[np.float64]

# Across the line, in resolutions of the maps.
_ACROSS = np.linspace(-2.0, 2.0, 17)
_SHORTEST_LINE = 1.5  # resolutions: shorter ones are noise at a corner of the map
_SPACING = 0.5  # resolutions between points of a published line
_LEAST_DIP = 0.25  # of the usual amplitude
# In resolutions. The crossing lies within 4 px rms of the truth in simulated twins; a minimum
# farther from it than this belongs to something else.
_LARGEST_SHIFT = 0.35
_SECTION = 4.0  # resolutions along a line after which noise is new
_FEWEST_PAIRS = 50


@dataclass(frozen=True, slots=True)
class Boundary:
    """A line between two domains.

    Attributes
    ----------
    line_px_yx : (N, 2)
        Its points [y, x] one after the other, inside the frame; a closed line does not repeat
        the first.
    closed
        It runs round an inclusion.
    length_px
        Along the line.
    width_px
        Between the places where the smaller domain has a quarter and three quarters of the
        amplitude; a step is seen as wide as the maps resolve, 1.3 standard deviations.
    contrast
        Change of (a1 - a0) / (a1 + a0) from one side to the other, 0..2, where a0 and a1 are the
        amplitudes of the domains' own reflections.
    z
        Median change of the log ratio across the line, in robust standard deviations of the same
        change inside the domains, times the root of the number of independent sections.
    p_value
        Chance that any place of the frame shows such a change without a boundary: the tail of a
        normal law, times the number of independent places.
    from_dip
        The line was drawn to where the shared reflections dip.
    """

    line_px_yx: Places
    closed: bool
    length_px: float
    width_px: float
    contrast: float
    z: float
    p_value: float
    from_dip: bool


def find_boundaries(
    domains: DomainMap, shape_yx: tuple[int, int], use_dip: bool = True
) -> tuple[Boundary, ...]:
    """Lines between the domains of a frame, longest first.

    Parameters
    ----------
    domains
        Of `find_domains`.
    shape_yx
        Of the frame: lines that reach the edge of the map go on to the edge of the frame.
    use_dip
        Draw a line to where shared reflections dip, where they do.
    """
    if domains.n_domains < 2:
        return ()
    resolution_px = domains.maps.resolution_px
    scatter = _scatter_inside(domains)
    found = []
    for grid_line, closed in trace_lines(domains.level):
        line = domains.pixel_place(grid_line)
        if _length(line, closed) < _SHORTEST_LINE * resolution_px:
            continue
        line = resampled(line, closed, _SPACING * resolution_px)
        if not closed:
            line = _to_edges(line, domains.maps, shape_yx)
        from_dip = False
        if use_dip:
            line, from_dip = _drawn_to_dip(line, closed, domains)
        line = np.clip(line, 0.0, np.array(shape_yx) - 1.0)
        found.append(_boundary(line, closed, from_dip, domains, scatter))
    return tuple(sorted(found, key=lambda boundary: -boundary.length_px))


def middle_of(line: Places, closed: bool) -> Places:
    """Point half-way along an open line; centre of what a closed one surrounds."""
    if closed:
        center: Places = _closed(line)[:-1].mean(axis=0)
        return center
    way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    middle: Places = np.array([np.interp(way[-1] / 2, way, axis) for axis in line.T])
    return middle


def _closed(line: Places) -> Places:
    return np.concatenate([line, line[:1]])


def _length(line: Places, closed: bool) -> float:
    return float(np.hypot(*np.diff(_closed(line) if closed else line, axis=0).T).sum())


def resampled(line: Places, closed: bool, spacing_px: float) -> Places:
    """Points at even distances along a line, both ends kept."""
    whole = _closed(line) if closed else line
    way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(whole, axis=0).T))])
    n_points = max(round(float(way[-1]) / spacing_px) + 1, 4 if closed else 3)
    at = np.linspace(0.0, way[-1], n_points)
    points: Places = np.stack([np.interp(at, way, axis) for axis in whole.T], axis=1)
    return points[:-1] if closed else points


def _normals(line: Places, closed: bool) -> Places:
    """Give unit vectors across a line at its points."""
    if closed:
        along = np.roll(line, -1, axis=0) - np.roll(line, 1, axis=0)
    else:
        along = np.gradient(line, axis=0)
    along /= np.maximum(np.hypot(*along.T), 1e-12)[:, None]
    across: Places = np.stack([along[:, 1], -along[:, 0]], axis=1)
    return across


def _to_edges(line: Places, maps: BraggMaps, shape_yx: tuple[int, int]) -> Places:
    """Carry a line that ends at the map's last row or column on to the frame's edge."""
    first = _beyond(line[0], line[0] - line[min(2, len(line) - 1)], maps, shape_yx)
    last = _beyond(line[-1], line[-1] - line[max(-3, -len(line))], maps, shape_yx)
    before = line[:0] if first is None else first[None]
    after = line[:0] if last is None else last[None]
    return np.concatenate([before, line, after])


def _beyond(
    end: Places, ahead: Places, maps: BraggMaps, shape_yx: tuple[int, int]
) -> Places | None:
    """Where a line that goes on leaves the frame; None where it does not, or ends inside."""
    far = np.array([maps.y_px[-1], maps.x_px[-1]])
    ways = []
    for axis in range(2):
        edge = shape_yx[axis] - 1.0
        if end[axis] > far[axis] - 1e-6 and ahead[axis] > 0 and end[axis] < edge:
            ways.append((edge - end[axis]) / ahead[axis])
    if not ways:
        return None
    step = min(ways) * ahead
    # Nearly along the edge a line would run far before it leaves.
    if np.hypot(*step) > 3.0 * max(maps.step_px_yx):
        return None
    beyond: Places = end + step
    return beyond


def _sample(
    grids: NDArray[np.float64] | NDArray[np.float32], place_px_yx: Places, maps: BraggMaps
) -> NDArray[np.float64]:
    """Values of grids (h, w) at places (..., 2), linear between grid places."""
    at = np.moveaxis(place_px_yx / np.array(maps.step_px_yx), -1, 0)
    values: NDArray[np.float64] = ndimage.map_coordinates(
        np.asarray(grids, np.float64), at, order=1, mode="nearest"
    )
    return values


def _is_inside(domains: DomainMap, places: Places) -> NDArray[np.bool_]:
    """Tell which places have a lattice all round."""
    if domains.lattice.all():
        return np.ones(places.shape[:-1], bool)
    held: NDArray[np.bool_] = (
        _sample(domains.lattice.astype(np.float64), places, domains.maps) > 0.99
    )
    return held


def _profiles(line: Places, closed: bool, maps: BraggMaps) -> Places:
    """Places (A, N, 2) across a line."""
    offset = _ACROSS * maps.resolution_px
    places: Places = line + offset[:, None, None] * _normals(line, closed)
    return places


def _drawn_to_dip(line: Places, closed: bool, domains: DomainMap) -> tuple[Places, bool]:
    """Move a line to where shared reflections are weakest; only if they dip, and not far."""
    maps = domains.maps
    places = _profiles(line, closed, maps)
    inside = _is_inside(domains, places)
    profiles = []
    for reflection, values in zip(domains.reflections, maps.values, strict=True):
        if reflection.domain >= 0:
            continue
        profile = np.where(inside, _sample(np.abs(values), places, maps), np.nan)
        usual = np.nanmedian(profile[[0, 1, -2, -1]])
        middle = np.nanmedian(profile[len(_ACROSS) // 2])
        if middle < (1.0 - _LEAST_DIP) * usual:
            profiles.append(profile / usual)
    if not profiles:
        return line, False
    mean = np.nanmean(np.mean(profiles, axis=0), axis=1)
    if np.isnan(mean).all():
        return line, False
    lowest = int(np.nanargmin(mean))
    if not 0 < lowest < len(mean) - 1:
        return line, False
    below, at, above = mean[lowest - 1 : lowest + 2]
    bend = below - 2 * at + above
    shift = _ACROSS[lowest] + (0.5 * (below - above) / bend if bend > 0 else 0.0) * (
        _ACROSS[1] - _ACROSS[0]
    )
    if abs(shift) > _LARGEST_SHIFT:
        return line, False
    moved: Places = line + shift * maps.resolution_px * _normals(line, closed)
    return moved, True


def _scatter_inside(domains: DomainMap) -> float:
    """Robust standard deviation of the change of the level across four resolutions."""
    shift_yx = [
        max(round(4.0 * domains.maps.resolution_px / step), 1) for step in domains.maps.step_px_yx
    ]
    changes = []
    for axis, shift in enumerate(shift_yx):
        level = np.moveaxis(domains.level, axis, 0)
        labels = np.moveaxis(domains.labels, axis, 0)
        if shift >= len(level):
            continue
        same = (labels[shift:] == labels[:-shift]) & (labels[shift:] >= 0)
        changes.append((level[shift:] - level[:-shift])[same])
    change = np.concatenate(changes) if changes else np.empty(0)
    if len(change) < _FEWEST_PAIRS:
        return np.inf
    return float(MAD_TO_SIGMA * np.median(np.abs(change)))


def _boundary(
    line: Places, closed: bool, from_dip: bool, domains: DomainMap, scatter: float
) -> Boundary:
    maps = domains.maps
    places = _profiles(line, closed, maps)
    level = _sample(np.where(domains.lattice, domains.level, 0.0), places, maps)
    level = np.where(_is_inside(domains, places), level, np.nan)
    known = np.isfinite(level[[0, -1]]).all(axis=0)
    change = np.abs(level[-1] - level[0])[known]
    balance = np.tanh(level / 2)
    typical = float(np.median(change)) if known.any() else 0.0
    contrast = float(np.median(np.abs(balance[-1] - balance[0])[known])) if known.any() else 0.0
    # Sections that are independent of each other say more together than one.
    n_sections = max(_length(line, closed) / (_SECTION * maps.resolution_px), 1.0)
    z = typical / scatter * np.sqrt(n_sections) if scatter > 0 else np.inf
    n_places = max(domains.lattice.sum() * maps.cell_px2 / (4 * np.pi * maps.resolution_px**2), 1.0)
    p_value = min(float(upper_tail_p(np.array([z]))[0]) * n_places, 1.0)
    # Slope of the balance in the middle: from a quarter to three quarters it changes by one.
    mid = len(_ACROSS) // 2
    steps = (_ACROSS[mid + 2] - _ACROSS[mid - 2]) * maps.resolution_px
    rise = np.abs(balance[mid + 2] - balance[mid - 2])
    rise = rise[np.isfinite(rise)]
    slope = float(np.median(rise)) / steps if len(rise) else 0.0
    width_px = 1.0 / slope if slope > 0 else np.inf
    return Boundary(line, closed, _length(line, closed), width_px, contrast, z, p_value, from_dip)
