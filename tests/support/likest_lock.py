"""The lock that the pipeline gives to a symmetry map: of two domains the one like the model's."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lock import LatticeLock, lock_lattice
from latticewatch.detectors.turned import net_change
from latticewatch.detectors.two_lattices import own_parts
from support.two_domains import find_lattices


def likest_lock(
    basis_px_yx: NDArray[np.float64] | None, frame: NDArray[np.float32]
) -> LatticeLock | None:
    """Lock of the domain of a frame (H, W) whose lattice is most like a model's (2, 2)."""
    lattices = find_lattices(frame)
    locks = [lock for one in lattices[:1] if (lock := lock_lattice(frame, one)) is not None]
    if locks and len(lattices) > 1:
        other = lock_lattice(frame, lattices[1], locks[0].holds)
        locks = list(own_parts(locks[0], other)) if other is not None else locks

    def unlike(lock: LatticeLock) -> float:
        change = None if basis_px_yx is None else net_change(basis_px_yx, lock.basis_px_yx)
        return np.inf if change is None else abs(change[0] - 1) + abs(change[1])

    return min(locks, key=unlike, default=None)
