"""From a symmetry map to defects an operator can steer by: boundaries and amorphous patches."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.calibration import MAD_TO_SIGMA, upper_tail_p
from latticewatch.detectors.symmetry.disorder import Disorder, find_disorder, gap_contrast
from latticewatch.detectors.symmetry.evidence import Evidence, Grid, read_evidence, smoothed
from latticewatch.detectors.symmetry.outlines import (
    Places,
    area_and_center,
    filled,
    length_of,
    normals,
    orientation_of,
    resampled,
    rounded,
    sampled,
    to_edges,
)
from latticewatch.detectors.symmetry.regions import Region, find_regions
from latticewatch.detectors.symmetry.ridges import (
    MOST_LINE_Z,
    MOST_Z,
    candidates,
    contrast_along,
    crest,
    is_lit,
    line_contrast,
)
from latticewatch.detectors.symmetry.seen import FoundMap, Reference

# A row of point defects that touch is as likely as one in ten thousand by this law, which knows
# clean cells alone; true lines are far beyond.
LIMIT_P = 1e-6
"""Chance per frame of a boundary in a clean one that is still listed."""

_USUAL_PERIOD_CELLS = 1.5
_SHORTEST_PERIODS = 4.0
_SHORTEST_CELLS = 7.0
_SHORTEST_EDGE_CELLS = 5.0  # beside a region that is wide, which is evidence of its own
# At half its height a fault is as wide as a box of two cells and the reach of window and filter,
# and as itself.
_NARROW_CELLS = 2.5
_NARROW_PERIODS = 1.5
_CLEAR_CELLS = 3
_BEYOND_BAND_CELLS = 1.5
_STRONG = 2.0  # contrast of a line filter
_WEAK = 1.0
_CREST = 0.8  # what the best of neighbouring lines has by chance
_SPACING_CELLS = 0.5
_SIDE_CELLS = 3.0
_PATCH_P = 1e-6


@dataclass(frozen=True, slots=True)
class Segment:
    """One extended defect.

    Attributes
    ----------
    kind
        ``boundary`` or ``amorphous``.
    outline_px_yx : (N, 2)
        Points along a boundary, or round a patch; the first is not repeated.
    closed
        The last point goes on to the first: round a patch, or an inclusion of another crystal.
    center_px_yx
        Middle of an open line; centroid of what a closed one surrounds.
    length_px
        Along the outline.
    area_px2
        Of a closed outline; of an open one, of the cells that it lights up.
    orientation_rad
        Of the long axis, 0..pi, from +x towards +y (down).
    mean_severity, peak_severity
        Along the line, within a patch; NaN where the map is masked.
    p_value
        Chance per frame that a clean one shows such a segment. Of a patch always 1e-6: a bound
        that is not measured, since what is no lattice at all has no law to be told from.
    """

    kind: str
    outline_px_yx: Places
    closed: bool
    center_px_yx: tuple[float, float]
    length_px: float
    area_px2: float
    orientation_rad: float
    mean_severity: float
    peak_severity: float
    p_value: float


def find_segments(
    found: FoundMap, model: Reference, shape_yx: tuple[int, int], limit_p: float = LIMIT_P
) -> list[Segment]:
    """Boundaries and amorphous patches of a frame, surest first.

    Parameters
    ----------
    found
        Map of the frame.
    model
        That it was made with.
    shape_yx
        Of the frame, pixels.
    limit_p
        Boundaries at least as likely in a clean frame are left out.
    """
    if found.stale:
        return []
    evidence = read_evidence(found.distance, found.p_value)
    if evidence is None:
        return []
    period_px = model.period_px or _USUAL_PERIOD_CELLS * found.step_px
    period_cells = period_px / found.step_px
    disorder = find_disorder(found.variance, found.level, lambda: _gaps(found, model), period_cells)
    narrow = _NARROW_CELLS + _NARROW_PERIODS * period_cells
    regions = find_regions(evidence, disorder.near, narrow, period_cells)
    lines = _region_lines(regions, evidence, disorder, period_cells)
    lines += _ridge_lines(regions, evidence, disorder, period_cells)
    segments = [_patch(found, outline, cells) for outline, cells in disorder.patches]
    segments += [
        _boundary(found, line, closed, p, shape_yx) for line, closed, p in lines if p <= limit_p
    ]
    return sorted(segments, key=lambda segment: segment.p_value)


def _gaps(found: FoundMap, model: Reference) -> tuple[float, float]:
    rule = model.preprocess
    period_px = (model.period_px or _USUAL_PERIOD_CELLS * found.step_px) / rule.binning
    level = (rule.high - rule.low) * float(np.sqrt(found.gain))
    return gap_contrast(model.patch, level, (rule.inner_sigma_px, rule.outer_sigma_px), period_px)


def _region_lines(
    regions: list[Region], evidence: Evidence, disorder: Disorder, period_cells: float
) -> list[tuple[Places, bool, float]]:
    """Lines round other crystals, with their chances."""
    lines = []
    shortest = max(_SHORTEST_EDGE_CELLS, _SHORTEST_PERIODS * period_cells)
    z = filled(np.clip(evidence.z, -3.0, MOST_Z), np.isfinite(evidence.z))
    spread = _spread(evidence.z, regions, disorder)
    for region in regions:
        for line, closed in region.lines:
            if length_of(line, closed) < shortest:
                continue
            across = _SIDE_CELLS * normals(line, closed)
            sides = np.stack([sampled(z, line + sign * across) for sign in (-1, 1)])
            contrast = abs(float(np.median(sides[1] - sides[0])))
            lines.append((line, closed, _chance(contrast, spread, length_of(line, closed), z)))
    return lines


def _ridge_lines(
    regions: list[Region], evidence: Evidence, disorder: Disorder, period_cells: float
) -> list[tuple[Places, bool, float]]:
    """Lines of strange cells inside the crystal, with their chances."""
    free = ~disorder.near
    for region in regions:
        free &= ~ndimage.binary_dilation(region.cells, np.ones((3, 3)), iterations=_CLEAR_CELLS)
    z = np.where(free, evidence.z, np.nan)
    # Single cells that are masked for want of variance are strange, too.
    masked = free & np.isnan(z) & np.isfinite(disorder.smooth)
    z[masked] = MOST_Z
    shortest = max(_SHORTEST_CELLS, _SHORTEST_PERIODS * period_cells)
    side = _SIDE_CELLS + 0.5 * period_cells - 0.5
    ridge = line_contrast(z, side)
    spread = _spread(evidence.z, regions, disorder)
    seen = np.clip(np.nan_to_num(evidence.z, nan=MOST_Z), -3.0, MOST_LINE_Z)
    clipped = np.minimum(smoothed(seen, 0.7), MOST_LINE_Z)
    change = np.nan_to_num(evidence.change)
    lines = []
    found = [
        (cells, ridge, side)
        for cells in candidates(ridge, np.isfinite(z), (_WEAK, _STRONG), shortest)
    ]
    found += [
        (region.cells, ndimage.distance_transform_edt(region.cells), 0.5 * region.width_cells + 1.0)
        for region in regions
        if not region.lines and region.cells.any()
    ]
    for cells, weight, reach in found:
        seeable = z if weight is ridge else evidence.z
        line = crest(cells, weight, np.where(np.isfinite(seeable), change, np.nan), reach)
        if length_of(line, False) < shortest or not is_lit(line, seen):
            continue
        # A band is as strange on all its width, and is told from what lies beyond.
        beyond = reach + (_BEYOND_BAND_CELLS if weight is not ridge else 0.0)
        across = beyond * normals(line, False)
        rows = [sampled(clipped, place) for place in (line, line - across, line + across)]
        contrast = contrast_along(*rows, is_band=weight is not ridge) - _CREST
        lines.append((line, False, _chance(contrast, spread, length_of(line, False), z)))
    return lines


def _spread(z: Grid, regions: list[Region], disorder: Disorder) -> float:
    """Robust standard deviation of single cells of the crystal, at least that of the reference."""
    clean = np.isfinite(z) & ~disorder.near
    for region in regions:
        clean &= ~region.cells
    values = z[clean]
    if len(values) < 2:
        return np.inf
    return max(1.0, float(MAD_TO_SIGMA * np.median(np.abs(values - np.median(values)))))


def _chance(contrast: float, spread: float, length_cells: float, z: Grid) -> float:
    # Cells share half their pixels with the next, so each second one is new along a line.
    n_sections = max(length_cells / 2.0, 1.0)
    score = contrast / (spread * np.sqrt(1.5)) * np.sqrt(n_sections)
    n_places = z.size / 4.0 * 8.0
    return min(float(upper_tail_p(np.array([score]))[0]) * n_places, 1.0)


def _pixels(found: FoundMap, line: Places) -> Places:
    place: Places = line * found.step_px + np.array(found.first_px_yx)
    return place


def _boundary(
    found: FoundMap, line: Places, closed: bool, p_value: float, shape_yx: tuple[int, int]
) -> Segment:
    severity = sampled(smoothed(found.severity, 0.5, 0.0), line)
    pixels = _pixels(found, line)
    if not closed:
        pixels = to_edges(pixels, shape_yx, 5.0 * found.step_px)
    pixels = np.clip(pixels, 0.0, np.array(shape_yx) - 1.0)
    length = length_of(pixels, closed)
    if closed:
        area, center = area_and_center(pixels)
    else:
        area = length * 2 * found.step_px
        center = _middle(pixels)
    return Segment(
        "boundary",
        pixels,
        closed,
        (float(center[0]), float(center[1])),
        length,
        area,
        orientation_of(pixels),
        float(severity.mean()),
        float(severity.max()),
        p_value,
    )


def _patch(found: FoundMap, outline: Places, cells: NDArray[np.bool_]) -> Segment:
    pixels = _pixels(found, rounded(resampled(outline, True, _SPACING_CELLS), True, 1.0))
    area, center = area_and_center(pixels)
    severity = found.severity[cells & np.isfinite(found.severity)]
    mean, peak = (
        (float(severity.mean()), float(severity.max())) if len(severity) else (np.nan, np.nan)
    )
    return Segment(
        "amorphous",
        pixels,
        True,
        (float(center[0]), float(center[1])),
        length_of(pixels, True),
        area,
        orientation_of(pixels),
        mean,
        peak,
        _PATCH_P,
    )


def _middle(line: Places) -> Places:
    """Point half-way along an open line."""
    way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    return np.array([np.interp(way[-1] / 2, way, axis) for axis in line.T])
