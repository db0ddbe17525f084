"""Patches without a lattice inside a crystal: amorphous ones, as bright as what is round them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.contour_lines import trace_lines
from latticewatch.detectors.patterson.boundaries import resampled
from latticewatch.detectors.patterson.domains import DomainMap
from latticewatch.kernels.grids import block_means

Places = NDArray[np.float64]

# Half of the usual amplitude is the edge of a crystal as the maps' Gaussian sees it.
_EDGE_LEVEL = 0.5
_DEEPEST_LEVEL = 0.3
# Round the middle, in resolutions: a disc of 1.5 keeps a third of its surroundings' amplitude.
_SMALLEST_RADIUS = 1.2
# Vacuum and holes are dark: an amorphous patch scatters as the crystal does on average.
_LEAST_BRIGHTNESS = 0.6
_MOST_BRIGHTNESS = 1.6
_SPACING = 0.5  # resolutions between points of an outline


@dataclass(frozen=True, slots=True)
class Patch:
    """A place inside a crystal where its lattice is missing.

    Attributes
    ----------
    outline_px_yx : (N, 2)
        Closed; does not repeat the first point.
    center_px_yx
        Of its area.
    radius_px
        Of a disc of the same area.
    presence
        Smallest amplitude inside, over the usual.
    brightness
        Mean intensity inside over that of the crystal.
    """

    outline_px_yx: Places
    center_px_yx: tuple[float, float]
    radius_px: float
    presence: float
    brightness: float


def find_patches(domains: DomainMap, frame: NDArray[np.float32]) -> tuple[Patch, ...]:
    """Amorphous patches that lie wholly inside the frame, largest first.

    Parameters
    ----------
    domains
        Of `find_domains`.
    frame : (H, W)
        The same frame; its zero is taken as no beam, so that a dark offset makes holes less dark.
    """
    maps = domains.maps
    if domains.presence.min() > _DEEPEST_LEVEL:
        return ()
    bright = _brightness(domains, frame)
    found = []
    for grid_line, closed in trace_lines(domains.presence.astype(np.float64) - _EDGE_LEVEL):
        if not closed:
            continue
        outline = domains.pixel_place(grid_line)
        area, center = _area_and_center(outline)
        radius_px = float(np.sqrt(area / np.pi))
        if radius_px < _SMALLEST_RADIUS * maps.resolution_px:
            continue
        inside = _is_within(grid_line, domains.presence.shape)
        if not inside.any() or domains.presence[inside].min() > _DEEPEST_LEVEL:
            continue
        brightness = float(bright[inside].mean())
        if _LEAST_BRIGHTNESS < brightness < _MOST_BRIGHTNESS:
            outline = resampled(outline, True, _SPACING * maps.resolution_px)
            lowest = float(domains.presence[inside].min())
            found.append(Patch(outline, (center[0], center[1]), radius_px, lowest, brightness))
    return tuple(sorted(found, key=lambda patch: -patch.radius_px))


def _brightness(domains: DomainMap, frame: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean intensity round each place of the map over its median where there is a lattice."""
    maps = domains.maps
    step = max(int(maps.resolution_px), 1)
    grid = np.empty((frame.shape[0] // step, frame.shape[1] // step), np.float32)
    block_means(frame, step, grid)
    y, x = np.meshgrid(maps.y_px, maps.x_px, indexing="ij")
    at = (np.stack([y, x]) + 0.5) / step - 0.5
    values = ndimage.map_coordinates(grid.astype(np.float64), at, order=1, mode="nearest")
    usual = float(np.median(values[domains.lattice]))
    brightness: NDArray[np.float64] = values / usual if usual > 0 else np.zeros_like(values)
    return brightness


def _area_and_center(outline: Places) -> tuple[float, tuple[float, float]]:
    """Area in square pixels and centroid [y, x] of a closed polygon (shoelace formula)."""
    y, x = (outline - outline[0]).T
    cross = x * np.roll(y, -1) - np.roll(x, -1) * y
    area = float(cross.sum()) / 2
    if area == 0:
        return 0.0, (float(outline[0, 0]), float(outline[0, 1]))
    center = [float(((a + np.roll(a, -1)) * cross).sum()) / (6 * area) for a in (y, x)]
    return abs(area), (center[0] + float(outline[0, 0]), center[1] + float(outline[0, 1]))


def _is_within(outline: Places, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Tell which places of a grid lie inside a closed polygon (even-odd rule)."""
    y, x = np.indices(shape)
    within = np.zeros(shape, bool)
    for (y0, x0), (y1, x1) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        passes = (y0 > y) != (y1 > y)
        within ^= passes & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return within
