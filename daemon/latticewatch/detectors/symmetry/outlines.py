"""Polylines and polygons [y, x]: length, area, long axis, even points, smoothing, frame edges."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Places = NDArray[np.float64]

_FEWEST_TO_CARRY = 8  # points that a direction is told from


def whole(line: Places, closed: bool) -> Places:
    """Points of a line; of a closed one, the first again at the end."""
    return np.concatenate([line, line[:1]]) if closed else line


def length_of(line: Places, closed: bool) -> float:
    """Along the line, in the unit of its points."""
    return float(np.hypot(*np.diff(whole(line, closed), axis=0).T).sum())


def area_and_center(outline: Places) -> tuple[float, Places]:
    """Area and centroid [y, x] of a closed polygon (shoelace formula)."""
    y, x = (outline - outline[0]).T
    cross = x * np.roll(y, -1) - np.roll(x, -1) * y
    area = float(cross.sum()) / 2
    if area == 0:
        return 0.0, outline.mean(axis=0)
    center = np.array([float(((a + np.roll(a, -1)) * cross).sum()) / (6 * area) for a in (y, x)])
    return abs(area), center + outline[0]


def orientation_of(line: Places) -> float:
    """Angle of the long axis of a set of points, 0..pi, from +x towards +y (down)."""
    off = line - line.mean(axis=0)
    y, x = off.T
    angle = 0.5 * np.arctan2(2 * np.mean(x * y), np.mean(x * x) - np.mean(y * y))
    return float(angle % np.pi)


def resampled(line: Places, closed: bool, spacing: float) -> Places:
    """Points at even distances along a line, both ends kept."""
    points = whole(line, closed)
    way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    n_points = max(round(float(way[-1]) / spacing) + 1, 5 if closed else 3)
    at = np.linspace(0.0, way[-1], n_points)
    even: Places = np.stack([np.interp(at, way, axis) for axis in points.T], axis=1)
    return even[:-1] if closed else even


def rounded(line: Places, closed: bool, sigma_points: float) -> Places:
    """Gaussian mean along a line of even points; a straight line stays as it is, ends included."""
    if closed:
        return np.asarray(ndimage.gaussian_filter1d(line, sigma_points, axis=0, mode="wrap"))
    # The line is carried on by its point reflection at either end.
    n_more = min(round(4 * sigma_points), len(line) - 1)
    before = 2 * line[0] - line[n_more:0:-1]
    after = 2 * line[-1] - line[-2 : -n_more - 2 : -1]
    longer = np.concatenate([before, line, after])
    smooth = ndimage.gaussian_filter1d(longer, sigma_points, axis=0, mode="nearest")
    return np.asarray(smooth[n_more : n_more + len(line)])


def straightened(
    line: Places, known: NDArray[np.bool_], reach: float, n_fit: int = 24, blur: int = 6
) -> Places:
    """Carry the middle of an open line on over ends that see unknown cells, straight.

    Parameters
    ----------
    line : (N, 2)
        Places of the grid, even points.
    known : (R, C) bool
        Cells with a value.
    reach
        To either side of the line, within which all cells must be known.
    n_fit
        Points that tell the direction at an end, at most.
    blur
        Points beyond the last one that sees an unknown cell to which that has spread.
    """
    beside = (
        line[:, None] + reach * np.array([-1.0, 0.0, 1.0])[:, None] * normals(line, False)[:, None]
    )
    seen = np.pad(known, 1).astype(np.float64)
    sees_all = (sampled(seen, beside + 1.0) > 0.99).all(axis=1)
    good = np.flatnonzero(ndimage.binary_erosion(sees_all, iterations=blur, border_value=1))
    if len(good) < _FEWEST_TO_CARRY:
        return line
    carried = line.copy()
    for end, inner in (
        (slice(0, good[0]), good[:n_fit]),
        (slice(good[-1] + 1, None), good[-n_fit:]),
    ):
        at = np.arange(len(line))[end]
        for axis in range(2):
            slope, start = np.polyfit(inner, line[inner, axis], 1)
            carried[end, axis] = start + slope * at
    return carried


def normals(line: Places, closed: bool) -> Places:
    """Give unit vectors (N, 2) across a line at its points."""
    if closed:
        along = np.roll(line, -1, axis=0) - np.roll(line, 1, axis=0)
    else:
        along = np.gradient(line, axis=0)
    along = along / np.maximum(np.hypot(*along.T), 1e-12)[:, None]
    across: Places = np.stack([along[:, 1], -along[:, 0]], axis=1)
    return across


def sampled(grid: NDArray[np.float64], places: Places) -> NDArray[np.float64]:
    """Values at places (..., 2) of a grid, linear between its cells, nearest beyond its edge."""
    at = np.moveaxis(places, -1, 0)
    values: NDArray[np.float64] = ndimage.map_coordinates(grid, at, order=1, mode="nearest")
    return values


def to_edges(
    line: Places, shape_yx: tuple[int, int], reach_px: float, back_points: int = 8
) -> Places:
    """Carry an open line whose ends lie within reach of the frame's edge on to the edge.

    Parameters
    ----------
    line : (N, 2)
        Pixels.
    shape_yx
        Of the frame.
    reach_px
        From the frame's edge, within which an end is taken to go on: the map ends there.
    back_points
        Over which the direction at an end is measured.
    """
    ends = []
    for end, inner in (
        (line[0], line[min(back_points, len(line) - 1)]),
        (line[-1], line[max(-1 - back_points, -len(line))]),
    ):
        ends.append(_beyond(end, end - inner, shape_yx, reach_px))
    before = line[:0] if ends[0] is None else ends[0][None]
    after = line[:0] if ends[1] is None else ends[1][None]
    return np.concatenate([before, line, after])


def _beyond(
    end: Places, ahead: Places, shape_yx: tuple[int, int], reach_px: float
) -> Places | None:
    """Where a line that goes on leaves the frame; None where it does not, or ends inside."""
    ways = []
    for axis in range(2):
        last = shape_yx[axis] - 1.0
        if end[axis] > last - reach_px and ahead[axis] > 0:
            ways.append((last - end[axis]) / ahead[axis])
        if end[axis] < reach_px and ahead[axis] < 0:
            ways.append(-end[axis] / ahead[axis])
    if not ways:
        return None
    step = max(min(ways), 0.0) * ahead
    # Nearly along the edge a line would run far before it leaves.
    if np.hypot(*step) > 3.0 * reach_px:
        return None
    return np.asarray(end + step)


def filled(grid: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Values of a grid, each unknown one that of the nearest known cell."""
    if known.all():
        return grid
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    return np.asarray(grid[tuple(nearest)])
