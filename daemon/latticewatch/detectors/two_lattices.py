"""One crystal in a frame, or two: the lattice of what the first does not hold."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.demodulation import (
    block_side,
    blurred,
    demodulate,
    has_blocks,
    resampled,
    where_it_holds,
)
from latticewatch.detectors.lattice import Lattice, find_lattice
from latticewatch.detectors.lock import LatticeLock, lock_lattice, strongest_pair
from latticewatch.kernels.grids import block_means, subtract_grid

# Parts of the frame: what is left for a second domain, and what it must hold at least.
_LEAST_LEFT = 0.05
LEAST_HELD = 0.03
"""Part of a frame that a further domain has at least."""
# Of the second lattice, where the first one is: domains lie side by side. Superlattices, layers
# on one another and peaks split by distortion lie in the same place.
_MOST_SHARED = 0.5
_APART_BINS = 3.0
_FEWEST_OWN = 3
# So far beyond the border of what is held the first lattice still shows, and its last row, cut off,
# is a lattice of its own. In periods.
_BORDER = 1.5
_SLOW = 2.0
_SHARED_POWER = 1e-3
_SAME_STEP = 0.1  # of a lattice vector, of an index
# Of the nodes of a lattice in common of two domains few are reflections.
_MOST_OCCUPIED = 0.5
_SPECK = 0.05  # of the largest piece of a domain
# Strong reflections tried: a twin shares one row of them or two; and of those that are not shared.
_MOST_COMMON, _MOST_TELLING = 6, 3


def lattices_beside(
    frame: NDArray[np.float32], found: Lattice, lock: LatticeLock
) -> tuple[Lattice, ...]:
    """Lattices of the one or two domains of a frame of which one was found.

    Parameters
    ----------
    frame : (H, W)
        Finite.
    found, lock
        Of the frame as a whole.
    """
    both = None
    if _occupied(found) <= _MOST_OCCUPIED:
        strongest = found.reflections[np.argsort(-found.power)[:_MOST_COMMON]]
        both = _lattices_of_mixture(frame, found, strongest)
    if both is None:
        second = second_lattice(frame, lock)
        both = None if second is None else (found, second)
    if both is None:
        both = _lattices_of_mixture(frame, found, _not_spanned(found)[:_MOST_TELLING])
    return (found,) if both is None else _by_themselves(frame, both)


def _by_themselves(
    frame: NDArray[np.float32], both: tuple[Lattice, Lattice]
) -> tuple[Lattice, Lattice]:
    """Search each domain once more, where it is: weak reflections hide behind the other's."""
    lock = lock_lattice(frame, both[0])
    other = None if lock is None else lock_lattice(frame, both[1], lock.holds)
    if lock is None or other is None:
        return both
    first, second = (
        _searched_again(frame, found, part)
        for found, part in zip(both, own_parts(lock, other), strict=True)
    )
    side_px = min(frame.shape)
    of_first = _own(first, second.basis_px_yx, side_px)
    of_second = _own(second, first.basis_px_yx, side_px)
    return _led_by(first, of_first), _led_by(second, of_second)


def _searched_again(frame: NDArray[np.float32], found: Lattice, lock: LatticeLock) -> Lattice:
    """Lattice of a larger cell that has all that was found; else what was found."""
    blocks = lock.period_px / lock.step_px
    inside = _well_inside(lock.holds, _BORDER * blocks)
    again = find_lattice(_only(frame, inside, int(lock.step_px), _SLOW * blocks))
    if again is None:
        return found
    steps = again.basis_px_yx @ np.linalg.inv(found.basis_px_yx)
    whole = np.abs(steps - np.round(steps)).max() < _SAME_STEP
    return again if whole and abs(np.linalg.det(steps)) > 1.5 else found


def second_lattice(frame: NDArray[np.float32], lock: LatticeLock) -> Lattice | None:
    """Lattice of what a first one does not hold; None where that is too little, or no crystal.

    Parameters
    ----------
    frame : (H, W)
        Finite.
    lock
        Of the first lattice to this frame.
    """
    if lock.holds.all():
        return None
    blocks = lock.period_px / lock.step_px
    left = _well_inside(~lock.holds, _BORDER * blocks)
    if left.mean() < _LEAST_LEFT:
        return None
    second = find_lattice(_only(frame, left, int(lock.step_px), _SLOW * blocks))
    if second is None:
        return None
    own = _own(second, lock.basis_px_yx, min(frame.shape))
    if own.sum() < _FEWEST_OWN:
        return None
    second = _led_by(second, own)
    other = lock_lattice(frame, second, lock.holds)
    return None if other is None or not are_apart(lock, other) else second


def _lattices_of_mixture(
    frame: NDArray[np.float32], mixed: Lattice, told_by: NDArray[np.int64]
) -> tuple[Lattice, Lattice] | None:
    """Lattices of two domains that were taken for one; None where it is one.

    Two domains in a special position to each other, as twins are, have a lattice in common, of a
    larger cell, that indexes the reflections of both and many that are not there; and reflections
    in common, which span a part of either net and hold in both domains. A strong reflection that is
    not everywhere says where to search for each by itself.

    Parameters
    ----------
    frame : (H, W)
        Finite.
    mixed
        Its lattice as a whole.
    told_by : (N, 2)
        Indices of reflections of which one may be that of one domain only.
    """
    sides = _sides(frame, told_by @ mixed.reciprocal_per_px)
    if sides is None:
        return None
    first, second = (find_lattice(side) for side in sides)
    if first is None or second is None:
        return None
    side_px = min(frame.shape)
    of_first = _own(first, second.basis_px_yx, side_px)
    of_second = _own(second, first.basis_px_yx, side_px)
    if min(of_first.sum(), of_second.sum()) < _FEWEST_OWN:
        return None
    first, second = _led_by(first, of_first), _led_by(second, of_second)
    lock = lock_lattice(frame, first)
    other = None if lock is None else lock_lattice(frame, second, lock.holds)
    if lock is None or other is None or not (are_apart(lock, other) and are_apart(other, lock)):
        return None
    return first, second


def _sides(
    frame: NDArray[np.float32], reflections_per_px: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Frame where it has one of some reflections (N, 2), that a half of it has, and where not."""
    best, nearest = None, 0.5 - LEAST_HELD
    for g_per_px in reflections_per_px:
        period_px = 1 / float(np.linalg.norm(g_per_px))
        step_px = block_side(period_px)
        if not has_blocks(frame.shape, step_px):
            continue
        across = np.array([g_per_px, [g_per_px[1], -g_per_px[0]]])
        waves = demodulate(frame, across, np.array([[1, 0], [1, 0]]), step_px)
        holds = where_it_holds(waves)[1]
        if abs(float(holds.mean()) - 0.5) < nearest:
            nearest = abs(float(holds.mean()) - 0.5)
            best = holds, waves.step_px, period_px / waves.step_px
    if best is None:
        return None
    holds, step_px, blocks = best
    one, other = (
        _only(frame, _well_inside(part, _BORDER * blocks), step_px, _SLOW * blocks)
        for part in (holds, ~holds)
    )
    return one, other


def _not_spanned(lattice: Lattice) -> NDArray[np.int64]:
    """Reflections (N, 2) that the two that carry the phase do not span, the strongest first.

    None of them where the two span the net: what both domains have spans a part of it only.
    """
    pair = strongest_pair(lattice)
    ordered: NDArray[np.int64] = lattice.reflections[np.argsort(-lattice.power)]
    if pair is None:
        return ordered[:0]
    steps = ordered @ np.linalg.inv(pair)
    apart = np.abs(steps - np.round(steps)).max(axis=1) > _SAME_STEP
    free: NDArray[np.int64] = ordered[apart]
    return free


def _occupied(lattice: Lattice) -> float:
    """Part of the nodes, out to the farthest reflection, that have one."""
    reach = float(np.linalg.norm(lattice.reflections @ lattice.reciprocal_per_px, axis=1).max())
    return lattice.n_reflections / (0.5 * np.pi * reach**2 * lattice.cell_area_px2)


def _well_inside(part: NDArray[np.bool_], border: float) -> NDArray[np.float32]:
    """Weight (h, w): nothing within the border of a part, one beyond it."""
    near = blurred(part.astype(np.float32), border)
    weight: NDArray[np.float32] = np.clip((near - 0.8) / 0.2, 0.0, 1.0).astype(np.float32)
    return weight


def are_apart(first: LatticeLock, other: LatticeLock) -> bool:
    """Tell whether a lattice holds a domain of its own beside the first one."""
    held = other.holds
    in_first = resampled(first.holds, (held.shape[0], held.shape[1]))
    return bool(held.mean() >= LEAST_HELD and (held & in_first).sum() <= _MOST_SHARED * held.sum())


def own_parts(first: LatticeLock, other: LatticeLock) -> tuple[LatticeLock, LatticeLock]:
    """Give each place that both lattices hold to the one whose waves are the stronger there.

    Near a boundary, and where a reflection of one lies on one of the other, both may hold. Specks
    that a lattice holds by chance, or in the other domain, are left to nobody.
    """
    return _own_part(first, other), _own_part(other, first)


def _own_part(lock: LatticeLock, rival: LatticeLock) -> LatticeLock:
    shape = (lock.holds.shape[0], lock.holds.shape[1])
    lost = resampled(rival.holds, shape)
    lost &= resampled(rival.amplitude, shape) >= lock.amplitude
    return replace(lock, holds=_without_specks(lock.holds & ~lost))


def _without_specks(part: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pieces (h, w) of a part that are not much smaller than the largest one."""
    label, n_pieces = ndimage.label(part)
    if n_pieces < 2:
        return part
    size = np.bincount(label.ravel())
    size[0] = 0
    kept: NDArray[np.bool_] = (size > _SPECK * size.max())[label]
    return kept


def _own(lattice: Lattice, other_px_yx: NDArray[np.float64], side_px: int) -> NDArray[np.bool_]:
    """Tell which reflections (R,) of a lattice another one (2, 2) does not have."""
    reciprocal = np.linalg.inv(other_px_yx).T.astype(np.float64)
    indices = lattice.reflections @ lattice.reciprocal_per_px @ other_px_yx.T
    away = (indices - np.round(indices)) @ reciprocal
    own: NDArray[np.bool_] = np.linalg.norm(away, axis=1) * side_px > _APART_BINS
    return own


def _led_by(lattice: Lattice, own: NDArray[np.bool_]) -> Lattice:
    """Let reflections carry the phase that are its own: others are in the other domain, too."""
    return replace(lattice, power=np.where(own, lattice.power, _SHARED_POWER * lattice.power))


def _only(
    frame: NDArray[np.float32], weight: NDArray[np.float32], step_px: int, sigma: float
) -> NDArray[np.float32]:
    """Frame less its mean nearby, times a weight (h, w) given at the blocks."""
    means = np.empty_like(weight)
    block_means(frame, step_px, means)
    total = np.maximum(blurred(weight, sigma), np.float32(1e-3))
    slow = (blurred(means * weight, sigma) / total).astype(np.float32)
    flat, negative = np.empty_like(frame), np.empty_like(frame)
    subtract_grid(frame, slow, step_px, flat)
    subtract_grid(np.zeros_like(frame), weight, step_px, negative)
    return -flat * negative
