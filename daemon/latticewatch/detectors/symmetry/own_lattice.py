"""The lattice of the crystal that a model patch is cut from, of the two that a frame may hold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lattice import Lattice, find_lattice
from latticewatch.detectors.lock import LatticeLock, lock_lattice
from latticewatch.detectors.symmetry.model_patch import Patch
from latticewatch.detectors.two_lattices import lattices_beside, own_parts

Image = NDArray[np.float32]
_PLACES = 8  # per axis, at which a tile is asked for its lattice


@dataclass(frozen=True, slots=True)
class FrameLattices:
    """What lattices a frame has, and where.

    Attributes
    ----------
    frame
        Its number.
    lattices
        One, or those of two domains, the stronger first.
    locks
        Of each; none where the frame is too small to tell where they are.
    """

    frame: int
    lattices: tuple[Lattice, ...]
    locks: tuple[LatticeLock, ...]

    def at(self, tile: tuple[int, int], side_px: int) -> Lattice:
        """Lattice that holds most of a tile."""
        if len(self.locks) < len(self.lattices):
            return self.lattices[0]
        share = (np.arange(_PLACES) + 0.5) / _PLACES
        rows, columns = ((one + share) * side_px for one in tile)
        places = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
        held = [np.count_nonzero(lock.holds_at(places)) for lock in self.locks]
        return self.lattices[int(np.argmax(held))]


def clearest_lattices(frames: Sequence[Image]) -> FrameLattices | None:
    """Lattices of the frame (H, W) whose lattice is clearest; None where no frame has one."""
    found = [(number, find_lattice(frame)) for number, frame in enumerate(frames)]
    known = [(number, lattice) for number, lattice in found if lattice is not None]
    if not known:
        return None
    number, lattice = max(known, key=lambda one: one[1].strength)
    return _lattices(frames[number], number, lattice)


def lattice_of_patch(
    frames: Sequence[Image], clearest: FrameLattices | None, patch: Patch
) -> Lattice | None:
    """Lattice of the crystal of a patch; that of the clearest frame where its own has none."""
    if clearest is None:
        return None
    if patch.frame != clearest.frame:
        own = find_lattice(frames[patch.frame])
        if own is None:
            return clearest.lattices[0]
        clearest = _lattices(frames[patch.frame], patch.frame, own)
    return clearest.at(patch.tile, patch.side_px)


def _lattices(frame: Image, number: int, found: Lattice) -> FrameLattices:
    """Tell twins apart, which have a lattice in common whose lengths suit neither."""
    lock = lock_lattice(frame, found)
    if lock is None:
        return FrameLattices(number, (found,), ())
    lattices = lattices_beside(frame, found, lock)
    if len(lattices) > 1:
        first = lock_lattice(frame, lattices[0])
        other = None if first is None else lock_lattice(frame, lattices[1], first.holds)
        if first is not None and other is not None:
            return FrameLattices(number, lattices, own_parts(first, other))
    return FrameLattices(number, (found,), (lock,))
