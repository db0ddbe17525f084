"""The lattices of a frame's one or two domains, each followed from frame to frame by itself.

What the first lattice does not hold is searched for another one now and then, not in every frame:
following costs a sixth of a search.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.demodulation import NOWHERE
from latticewatch.detectors.follow import FrameLattice, LatticeFollower, Refusal
from latticewatch.detectors.lattice import Lattice
from latticewatch.detectors.two_lattices import (
    LEAST_HELD,
    are_apart,
    lattices_beside,
    own_parts,
    second_lattice,
)

# Frames from one search for a second lattice to the next: at least so many, if another part of the
# frame does not hold the first one now; else so many, for noise may have hidden it.
_SOONEST, _LATEST = 16, 64
_OTHER_PART = 0.03  # of the frame
# The second becomes the first where it holds so many times as much of the frame; more than once,
# so that two of about one size do not change places from frame to frame.
_MUCH_LARGER = 2.0


@dataclass(slots=True)
class _Domain:
    """One domain, and what follows it.

    Attributes
    ----------
    follower
        Of its lattice.
    number
        Given to no other domain since the chain began.
    held : (h, w)
        Where it was in the last frame, and no other domain.
    """

    follower: LatticeFollower
    number: int
    held: NDArray[np.bool_]


class DomainFollower:
    """Follows the lattice of a frame, and that of a second domain while there is one.

    Domains are numbered in the order in which they were found, from 0. A number is never given
    again before the chain ends, so number and lattice address name a site without doubt.
    """

    def __init__(self) -> None:
        self._domains: list[_Domain] = []
        self._n_numbered = 0
        self._searched: NDArray[np.bool_] | None = None
        self._n_since = _LATEST

    def forget(self) -> None:
        """Make the next frame a first one, of another chain."""
        self._domains = []
        self._n_numbered = 0
        self._searched = None
        self._n_since = _LATEST

    def look(self, image: NDArray[np.float32]) -> tuple[FrameLattice, ...] | Refusal:
        """Lattices of the next frame, one or two.

        Parameters
        ----------
        image : (H, W)
            Finite.

        Returns
        -------
        tuple of FrameLattice or Refusal
            The first one is that of the larger domain, unless both are about one size. Each holds
            its own part of the frame only. Where the first is lost, the second takes its place;
            where both are, a frame is searched as a first one, and numbers begin anew.
        """
        self._n_since += 1
        found: list[FrameLattice] | Refusal = self._followed(image)
        if not found:
            self.forget()
            found = self._begun(image)
        if isinstance(found, Refusal):
            return found
        if len(found) == 1 and self._is_due(found[0].lock.holds):
            found += self._beside(image, found[0])
        return self._parted(found)

    def _followed(self, image: NDArray[np.float32]) -> list[FrameLattice]:
        """Lattices that are still there, in their order; what follows the others is given up."""
        found: list[FrameLattice] = []
        domains, self._domains = self._domains, []
        for domain in domains:
            taken = next((other.held for other in domains if other is not domain), NOWHERE)
            # All go the way of the specimen.
            way_px = found[0].drift_px_yx if found else None
            one = domain.follower.follow(image, taken, way_px)
            if one is None or (found and not are_apart(found[0].lock, one.lock)):
                self._searched = None
                continue
            found.append(replace(one, domain=domain.number))
            self._domains.append(domain)
        return found

    def _begun(self, image: NDArray[np.float32]) -> list[FrameLattice] | Refusal:
        """Lattices of a first frame."""
        follower = LatticeFollower()
        first = follower.look(image)
        if isinstance(first, Refusal):
            return first
        self._searched, self._n_since = first.lock.holds, 0
        lattices = lattices_beside(image, first.lattice, first.lock)
        other = LatticeFollower()
        parted = other.begin(image, lattices[0]) if len(lattices) == 2 else None
        if parted is None:
            return [self._numbered(follower, first)]
        found = [self._numbered(other, parted)]
        return found + self._beside(image, parted, lattices[1])

    def _numbered(self, follower: LatticeFollower, found: FrameLattice) -> FrameLattice:
        number = self._n_numbered
        self._n_numbered += 1
        self._domains.append(_Domain(follower, number, found.lock.holds))
        return replace(found, domain=number)

    def _is_due(self, holds: NDArray[np.bool_]) -> bool:
        """Tell whether to search what the first lattice does not hold."""
        if holds.all() or self._n_since < _SOONEST:
            return False
        before = self._searched
        if self._n_since >= _LATEST or before is None or before.shape != holds.shape:
            return True
        return bool((before != holds).mean() > _OTHER_PART)

    def _beside(
        self, image: NDArray[np.float32], first: FrameLattice, lattice: Lattice | None = None
    ) -> list[FrameLattice]:
        """Lattice of what the first one does not hold, known or searched, if there is one."""
        self._searched, self._n_since = first.lock.holds, 0
        lattice = lattice or second_lattice(image, first.lock)
        if lattice is None:
            return []
        follower = LatticeFollower()
        found = follower.begin(image, lattice, first.lock.holds)
        return [] if found is None else [self._numbered(follower, found)]

    def _parted(self, found: list[FrameLattice]) -> tuple[FrameLattice, ...]:
        """Give each lattice its own part of the frame, the first place to a much larger one."""
        if len(found) == 2:
            first, other = own_parts(found[0].lock, found[1].lock)
            found = [replace(found[0], lock=first), replace(found[1], lock=other)]
            if other.share_held > _MUCH_LARGER * first.share_held:
                found.reverse()
                self._domains.reverse()
            if found[1].lock.share_held < LEAST_HELD:
                del found[1], self._domains[1]
                self._searched = None
        for domain, one in zip(self._domains, found, strict=True):
            domain.held = one.lock.holds
        return tuple(found)
