"""Lattices of a frame that may hold two, without following it."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lattice import Lattice, find_lattice
from latticewatch.detectors.lock import lock_lattice
from latticewatch.detectors.two_lattices import lattices_beside


def find_lattices(frame: NDArray[np.float32]) -> tuple[Lattice, ...]:
    """Lattices of the one or two domains of a frame (H, W), the stronger first."""
    first = find_lattice(frame)
    if first is None:
        return ()
    lock = lock_lattice(frame, first)
    return (first,) if lock is None else lattices_beside(frame, first, lock)
