"""Stacking faults and antiphase boundaries: lines where some reflections cancel and others go on.

Both sides are the same crystal, shifted: a reflection g changes its phase by g.shift, and on the
line the two halves add up to less. A reflection with a whole number of turns sees nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.calibration import upper_tail_p
from latticewatch.detectors.patterson.bragg import BraggMaps
from latticewatch.detectors.patterson.domains import DomainMap
from latticewatch.detectors.patterson.grouping import distance_inside
from latticewatch.kernels.dips import dips_across

_N_DIRECTIONS = 8
_SIDE_RESOLUTIONS = 2.2  # from a line to its sides, where nothing of its dip is left
_REFERENCE_QUANTILE = 0.95
_LEAST_SNR = 8.0
_FEWEST_REFLECTIONS = 3
_LEAST_SIDE = 0.4  # of the usual amplitude
# A third of a turn leaves half of the amplitude on the line. Over the images of single crystals
# the highest second dip was 0.27, where no defect was larger than a column.
_LEAST_DIP = 0.35
_LARGEST_UNMOVED = 0.25  # dip of the reflection that sees nothing: else it is a hole
_SHORTEST = 5.0  # resolutions
_SLENDEREST = 8.0  # length over standard deviation across
_FEWEST_PLACES = 6
_MOST_FAULTS = 8
_LEAST_PHASE_TURNS = 0.1
_CLEAR_RESOLUTIONS = 2.5
_NULL_QUANTILE = 0.99
_NULL_Z = 2.326  # the same quantile of a normal law
_LEAST_SPREAD = 0.02  # of a dip: a frame without noise has none elsewhere

Places = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fault:
    """A line across which a crystal is shifted.

    Attributes
    ----------
    line_px_yx : (N, 2)
        Points [y, x] from end to end.
    length_px
        Along it.
    dip
        Mean over the line of the second largest dip of all reflections, 0..1.
    phase_turns : (R,)
        Change of each reflection's phase across the line, -0.5..0.5 turns; NaN for reflections
        too weak to tell. The sign goes with the direction of the line.
    z
        Dip over what the highest hundredth elsewhere in the frame reaches, as standard deviations
        of a normal law, times the root of the number of independent sections.
    p_value
        Chance that any place and direction shows it without a fault: the tail of a normal law,
        times the number of independent places and directions.
    """

    line_px_yx: Places
    length_px: float
    dip: float
    phase_turns: tuple[float, ...]
    z: float
    p_value: float


def find_faults(domains: DomainMap) -> tuple[Fault, ...]:
    """Lines of cancelled reflections inside the domains of a frame, longest first.

    Parameters
    ----------
    domains
        Of `find_domains`. The boundary between two domains is no fault: no reflection has
        amplitude on both sides of it and cancels, but for shared rows.
    """
    maps = domains.maps
    noise = maps.noise.astype(np.float32)
    amplitude = maps.amplitude
    flat = amplitude.reshape(len(amplitude), -1)
    usual = np.quantile(flat, _REFERENCE_QUANTILE, axis=1).astype(np.float32)
    strong = usual > _LEAST_SNR * noise
    if strong.sum() < _FEWEST_REFLECTIONS:
        return ()
    kept = np.sqrt(np.maximum(np.square(amplitude) - noise[:, None, None] ** 2, 0))[strong]
    score, direction = _strongest_dips(kept, usual[strong], maps)
    score = np.where(domains.lattice & ~_beside_boundary(domains), score, 0.0)
    patches: list[NDArray[np.bool_]] = []
    free = domains.lattice.copy()
    while len(patches) < _MOST_FAULTS:
        places = _longest_line((score > _LEAST_DIP) & free, direction, score, maps)
        if places is None:
            break
        patches.append(places)
        free &= ~ndimage.binary_dilation(places, np.ones((3, 3)), iterations=2)
    if not patches:
        return ()
    # Most places have no dip at all, so the scale is that of the strongest few.
    scale = float(np.quantile(score[free], _NULL_QUANTILE)) / _NULL_Z if free.any() else np.inf
    faults = [_fault(places, score, max(scale, _LEAST_SPREAD), strong, maps) for places in patches]
    return tuple(
        fault for fault in faults if np.nanmax(np.abs(fault.phase_turns)) >= _LEAST_PHASE_TURNS
    )


def _beside_boundary(domains: DomainMap) -> NDArray[np.bool_]:
    """Tell which places see a boundary between domains, where shared rows dip of their own."""
    maps = domains.maps
    if domains.n_domains < 2:
        return np.zeros(domains.lattice.shape, bool)
    everywhere = np.ones(domains.lattice.shape, bool)
    near: NDArray[np.bool_] = (
        distance_inside(domains.labels == 1, everywhere, maps)
        < _CLEAR_RESOLUTIONS * maps.resolution_px
    )
    return near


def _strongest_dips(
    amplitude: NDArray[np.float32], usual: NDArray[np.float32], maps: BraggMaps
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Second dip of the direction where it is largest (h, w), and which one that is."""
    shape = (_N_DIRECTIONS, *amplitude.shape[1:])
    second, lowest = np.empty(shape, np.float32), np.empty(shape, np.float32)
    least = (_LEAST_SIDE * usual).astype(np.float32)
    for number in range(_N_DIRECTIONS):
        angle = np.pi * number / _N_DIRECTIONS
        reach_px = _SIDE_RESOLUTIONS * maps.resolution_px
        offset = (
            float(np.cos(angle) * reach_px / maps.step_px_yx[0]),
            float(np.sin(angle) * reach_px / maps.step_px_yx[1]),
        )
        dips_across(amplitude, least, offset, second[number], lowest[number])
    second[lowest >= _LARGEST_UNMOVED] = 0.0
    direction = np.argmax(second, axis=0)
    return np.take_along_axis(second, direction[None], axis=0)[0], direction


def _longest_line(
    marked: NDArray[np.bool_],
    direction: NDArray[np.int64],
    score: NDArray[np.float32],
    maps: BraggMaps,
) -> NDArray[np.bool_] | None:
    """Mark the longest slender patch of one direction; None where there is none."""
    best, longest = None, _SHORTEST * maps.resolution_px
    if marked.sum() < _FEWEST_PLACES:
        return None
    for number in range(_N_DIRECTIONS):
        apart = np.abs(direction - number)
        alike = np.minimum(apart, _N_DIRECTIONS - apart) <= 1
        patches, _ = ndimage.label(marked & alike, np.ones((3, 3)))
        counts = np.bincount(patches.ravel())
        for patch, box in enumerate(ndimage.find_objects(patches), start=1):
            # A large frame has thousands of small ones; no line is longer than its box.
            sides_px = [
                (side.stop - side.start) * step
                for side, step in zip(box, maps.step_px_yx, strict=True)
            ]
            if counts[patch] < _FEWEST_PLACES or np.hypot(*sides_px) < longest:
                continue
            places = np.zeros_like(marked)
            places[box] = patches[box] == patch
            along, across, _, _ = _axes(places, score, maps)
            length = float(np.ptp(along))
            spread = float(np.sqrt(np.average(np.square(across), weights=score[places])))
            if length >= longest and length >= _SLENDEREST * spread:
                best, longest = places, length
    return best


def _axes(
    places: NDArray[np.bool_], score: NDArray[np.float32], maps: BraggMaps
) -> tuple[Places, Places, Places, Places]:
    """Distances (N,) along and across the long axis of a patch; its centre and the axes (2, 2)."""
    at = np.argwhere(places) * maps.step_px_yx
    weights = score[places].astype(np.float64)
    center = np.average(at, axis=0, weights=weights)
    off = at - center
    _, axes = np.linalg.eigh((off * weights[:, None]).T @ off)
    axes = axes.T[::-1]
    return off @ axes[0], off @ axes[1], center, axes


def _fault(
    places: NDArray[np.bool_],
    score: NDArray[np.float32],
    scale: float,
    strong: NDArray[np.bool_],
    maps: BraggMaps,
) -> Fault:
    along, across, center, axes = _axes(places, score, maps)
    weights = score[places].astype(np.float64)
    begin, length = float(along.min()), float(np.ptp(along))
    # Mean place of each stretch as long as two resolutions; the ends are those of the patch.
    n_parts = max(int(length / (2 * maps.resolution_px)), 1)
    part = np.minimum(((along - begin) / length * n_parts).astype(int), n_parts - 1)
    weight = np.bincount(part, weights, n_parts)
    held = weight > 0
    mean = np.bincount(part, weights * across, n_parts)[held] / weight[held]
    middle = begin + (np.flatnonzero(held) + 0.5) / n_parts * length
    steps = np.concatenate([[begin], middle, [begin + length]])
    aside = np.concatenate([mean[:1], mean, mean[-1:]])
    line = center + steps[:, None] * axes[0] + aside[:, None] * axes[1]
    last = np.array([maps.y_px[-1], maps.x_px[-1]])
    line = np.clip(line, 0.0, last)
    dip = float(weights.mean())
    n_sections = max(length / (4 * maps.resolution_px), 1.0)
    z = dip / scale * float(np.sqrt(n_sections))
    n_places = max(score.size * maps.cell_px2 / (4 * np.pi * maps.resolution_px**2), 1.0)
    p_value = float(upper_tail_p(np.array([z]))[0]) * n_places * _N_DIRECTIONS
    turns = _phase_steps(line, axes[1], strong, maps)
    return Fault(line, length, dip, turns, z, min(p_value, 1.0))


def _phase_steps(
    line: Places, across: Places, strong: NDArray[np.bool_], maps: BraggMaps
) -> tuple[float, ...]:
    """Measure the turns by which each reflection's phase changes across a line."""
    reach_px = _SIDE_RESOLUTIONS * maps.resolution_px
    sides = [((line + sign * reach_px * across) / maps.step_px_yx).T for sign in (-1, 1)]
    turns = []
    for is_strong, values in zip(strong, maps.values, strict=True):
        if not is_strong:
            turns.append(np.nan)
            continue
        one, other = (
            ndimage.map_coordinates(values, side, order=1, mode="nearest") for side in sides
        )
        turns.append(float(np.angle(np.sum(other * np.conj(one))) / (2 * np.pi)))
    return tuple(turns)
