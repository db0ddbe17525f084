"""Narrow lines of strange cells: stacking faults, antiphase and low-angle boundaries."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, sparse
from scipy.sparse import csgraph

from latticewatch.detectors.symmetry.evidence import Grid
from latticewatch.detectors.symmetry.outlines import (
    Places,
    normals,
    resampled,
    rounded,
    sampled,
    straightened,
)

_MOST_LINES = 16  # chosen
_N_DIRECTIONS = 8
_ALONG_CELLS = 2.5  # standard deviation of the line filter
_ACROSS_CELLS = 0.7
# A point defect lights up some ten cells, by a hundred standard deviations; a line is told by how
# many cells it lights up.
MOST_Z = 4.0
"""What a single cell counts at most."""
# Of a cell of a line, which is lit along all its length: no point defect passes for one.
MOST_LINE_Z = 2 * MOST_Z
_LIT_Z = 1.0
_LIT_SHARE = 0.3  # of the median: a row of point defects has gaps
_LEAST_LIT = 0.95
_BLUNT_POINTS = 3  # at either end: the filter's own length, and twigs
_SPACING_CELLS = 0.5
_LEAST_Z = -2.0
_TWIG_SHARE = 0.4  # of the highest contrast of a line
_EIGHT = np.ones((3, 3), bool)


def line_contrast(z: Grid, side_cells: float) -> Grid:
    """Mean of the clipped z along the best line through each cell, less that of its sides.

    The stranger of the two sides counts, so that the edge of a region is no line.

    Parameters
    ----------
    z : (R, C)
        Of `read_evidence`; NaN counts as the middle of the reference.
    side_cells
        From a line to its sides.
    """
    height, width = z.shape
    margin = int(np.ceil(side_cells)) + 1
    clipped = np.clip(np.where(np.isnan(z), 0.0, z), _LEAST_Z, MOST_Z).astype(np.float32)
    clipped -= np.median(clipped)
    shape = tuple(fft.next_fast_len(size + 12, real=True) for size in z.shape)
    turned = fft.rfft2(clipped, shape)
    best = np.full(z.shape, -np.inf, np.float32)
    for number, kernel in enumerate(_line_kernels(shape)):
        along = fft.irfft2(turned * kernel, shape)[: z.shape[0], : z.shape[1]]
        angle = np.pi * number / _N_DIRECTIONS
        step_y = round(side_cells * np.cos(angle))
        step_x = round(-side_cells * np.sin(angle))
        wide = np.pad(along, margin, mode="edge")
        one, two = (
            wide[margin + sign * step_y :, margin + sign * step_x :][:height, :width]
            for sign in (-1, 1)
        )
        contrast = along - np.maximum(one, two)
        np.maximum(best, contrast, out=best)
    return best.astype(np.float64)


@lru_cache(maxsize=4)
def _line_kernels(shape: tuple[int, int]) -> tuple[NDArray[np.float32], ...]:
    """Spectra of the line filters: Gaussians of unit sum, long in one direction."""
    gy = fft.fftfreq(shape[0])[:, None]
    gx = fft.rfftfreq(shape[1])
    kernels = []
    for number in range(_N_DIRECTIONS):
        angle = np.pi * number / _N_DIRECTIONS
        along = np.cos(angle) * gx + np.sin(angle) * gy
        across = np.cos(angle) * gy - np.sin(angle) * gx
        exponent = (along * _ALONG_CELLS) ** 2 + (across * _ACROSS_CELLS) ** 2
        kernels.append(np.exp(-2 * np.pi**2 * exponent).astype(np.float32))
    return tuple(kernels)


def candidates(
    contrast: Grid, free: NDArray[np.bool_], limits: tuple[float, float], shortest_cells: float
) -> list[NDArray[np.bool_]]:
    """Choose connected cells of a ridge, long enough, of which one stands out clearly.

    The most conspicuous first, and no more than a frame can have: each takes milliseconds to trace,
    and dense point defects make dozens of crumbs.

    Parameters
    ----------
    contrast : (R, C)
        Of `line_contrast`.
    free : (R, C) bool
        Cells that may belong to a line.
    limits
        Contrast that all cells reach, and one.
    shortest_cells
        No line is longer than the diagonal of its box.
    """
    weak, strong = limits
    parts = []
    labels, _ = ndimage.label((contrast > weak) & free, _EIGHT)
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if np.hypot(*[side.stop - side.start for side in box]) < shortest_cells:
            continue
        values = np.where(labels[box] == number, contrast[box], 0.0)
        if values.max() < strong:
            continue
        # Twigs of noise hang on a strong line.
        above, _ = ndimage.label(values > max(weak, _TWIG_SHARE * float(values.max())), _EIGHT)
        for part, inner in enumerate(ndimage.find_objects(above), start=1):
            if np.hypot(*[side.stop - side.start for side in inner]) < shortest_cells:
                continue
            cells = np.zeros(contrast.shape, bool)
            cells[box] = above == part
            if contrast[cells].max() >= strong:
                parts.append(cells)
    parts.sort(key=lambda cells: -float(contrast[cells].sum()))
    return parts[:_MOST_LINES]


def trace_ridge(cells: NDArray[np.bool_], weight: Grid) -> Places:
    """Path [y, x] (N, 2) of cells between the two ends of a connected patch.

    Dijkstra's shortest path between the two cells that are farthest apart on such paths, where a
    step costs less through stranger cells: it keeps to the crest.

    Parameters
    ----------
    cells : (R, C) bool
        One patch, 8-connected.
    weight : (R, C)
        Positive inside the patch.
    """
    at = np.argwhere(cells)
    number = np.full(cells.shape, -1)
    number[tuple(at.T)] = np.arange(len(at))
    cost = 1.0 / np.maximum(weight[tuple(at.T)], 1e-3)
    rows, columns, costs = [], [], []
    padded = np.pad(number, 1, constant_values=-1)
    for step_y, step_x in ((0, 1), (1, 0), (1, 1), (1, -1)):
        other = padded[at[:, 0] + 1 + step_y, at[:, 1] + 1 + step_x]
        linked = other >= 0
        one, two = np.flatnonzero(linked), other[linked]
        rows.append(one)
        columns.append(two)
        costs.append(0.5 * (cost[one] + cost[two]) * np.hypot(step_y, step_x))
    graph = sparse.coo_matrix(
        (np.concatenate(costs), (np.concatenate(rows), np.concatenate(columns))),
        shape=(len(at), len(at)),
    ).tocsr()
    # The cell farthest from any is one end, the cell farthest from that the other.
    steps = csgraph.dijkstra(graph, directed=False, indices=0, unweighted=True)
    first = int(np.argmax(np.where(np.isfinite(steps), steps, -1)))
    steps = csgraph.dijkstra(graph, directed=False, indices=first, unweighted=True)
    last = int(np.argmax(np.where(np.isfinite(steps), steps, -1)))
    _, before = csgraph.dijkstra(graph, directed=False, indices=first, return_predecessors=True)
    path = [last]
    while path[-1] != first and before[path[-1]] >= 0:
        path.append(int(before[path[-1]]))
    return at[path].astype(np.float64)


def profiles(
    line: Places, closed: bool, grid: Grid, half_cells: float
) -> tuple[NDArray[np.float64], Grid]:
    """Offsets (A,) across a line in cells, and the values (N, A) of a grid there."""
    n_steps = int(np.ceil(2 * half_cells))
    offsets = np.arange(-n_steps, n_steps + 1) / 2
    places = line[:, None] + offsets[:, None] * normals(line, closed)[:, None]
    return offsets, sampled(grid, places)


def centred(
    line: Places, closed: bool, weights: Grid, half_cells: float, n_rounds: int = 2
) -> Places:
    """Move a line of even points to the weighted middle of what it runs along.

    Parameters
    ----------
    line : (N, 2)
        Places of the grid, half a cell apart.
    weights : (R, C)
        What the stranger side has is taken off.
    half_cells
        How far to either side weights count.
    """
    mode = "wrap" if closed else "nearest"
    for _ in range(n_rounds):
        offsets, profile = profiles(line, closed, weights, half_cells)
        profile = ndimage.gaussian_filter1d(profile, 4.0, axis=0, mode=mode)
        profile = np.maximum(profile - np.maximum(profile[:, :1], profile[:, -1:]), 0.0)
        total = profile.sum(axis=1)
        shift = np.where(total > 0, profile @ offsets / np.maximum(total, 1e-9), 0.0)
        line = rounded(line + shift[:, None] * normals(line, closed), closed, 3.0)
    return line


def crest(cells: NDArray[np.bool_], weight: Grid, change: Grid, reach_cells: float) -> Places:
    """Line of even points along the middle of some cells."""
    path = trace_ridge(cells, np.where(cells, weight, 0.0))
    if len(path) < 2:
        return path
    line = rounded(resampled(path, False, _SPACING_CELLS), False, 3.0)
    known = np.isfinite(change)
    line = centred(line, False, np.where(known, change, 0.0), reach_cells)
    if len(line) <= 4 * _BLUNT_POINTS:
        return line[:1]
    return straightened(line[_BLUNT_POINTS:-_BLUNT_POINTS], known, reach_cells)


def is_lit(line: Places, z: Grid) -> bool:
    """Tell a line from a row of point defects, which has gaps."""
    lit = ndimage.gaussian_filter1d(sampled(z, line), 0.7, mode="nearest")
    share = float((lit > max(_LIT_Z, _LIT_SHARE * float(np.median(lit)))).mean())
    return share >= _LEAST_LIT


def contrast_along(on: Grid, one: Grid, other: Grid, *, is_band: bool) -> float:
    """Tell how far a line lies above what is beside it, in one of two ways.

    The middle of it, with what is very strange held back, or nine tenths of it as it is: a row
    of point defects has few cells that are strange, but those are very strange.
    """
    contrasts = []
    for most, quantile in ((MOST_Z, 0.5), (MOST_LINE_Z, 0.1)):
        here, a, b = (np.minimum(row, most) for row in (on, one, other))
        beside = (a + b) / 2 if is_band else np.maximum(a, b)
        contrasts.append(float(np.quantile(here - beside, quantile)))
    return max(contrasts)
