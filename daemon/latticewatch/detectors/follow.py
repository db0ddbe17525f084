"""A lattice followed from frame to frame: where it has gone, and what its sites are called.

Two reflections are looked at while the crystal stays, and a few that tell it from another domain:
a sixth of the time of a search.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.demodulation import (
    NOWHERE,
    Demodulated,
    block_side,
    demodulate,
    has_blocks,
)
from latticewatch.detectors.lattice import Lattice, LatticeSearch, search_lattice
from latticewatch.detectors.lock import LatticeLock, lock_waves, strongest_pair, witnesses
from latticewatch.detectors.phase_plane import covariance_of_mean, plane_through, straightened

# Rotation (rad) or relative change of length from one frame to the next: beyond, it is searched.
_MOST_CHANGE = 0.015
# Of the blocks that held the lattice, so many must still do, and of the frame so many.
_LEAST_SHARE_LEFT = 0.5
_LEAST_SHARE = 0.02
# Turns of a wave about the nearest number: as many as a shortest lattice vector may be of orders of
# a strong reflection.
_AROUND = np.array([(i, j) for i in range(-4, 5) for j in range(-4, 5)])
_SAME = 0.1  # of what witnesses say: cells that they do not tell apart differ by rounding only


@dataclass(frozen=True, slots=True)
class FrameLattice:
    """The lattice of one frame.

    Attributes
    ----------
    lattice
        Its vectors in this frame; indices and power of the reflections are those of the search.
    lock
        Cell coordinates: while `followed`, a site keeps its address from frame to frame.
    followed
        Whether it is the lattice of the last frame; else addresses start anew.
    drift_px_yx : (2,)
        Way of the crystal since the last frame, [y, x] in pixels, mean over where both frames
        hold it; of all ways that look the same the shortest, or the one nearest to
        that of the specimen where another domain tells it. None where not followed.
    drift_cov_px : (2, 2)
        Its covariance, square pixels.
    domain
        Number of the domain that it was found for; see `follow_domains.py`.
    """

    lattice: Lattice
    lock: LatticeLock
    followed: bool
    drift_px_yx: NDArray[np.float64] | None
    drift_cov_px: NDArray[np.float64] | None
    domain: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a frame has no lattice.

    Attributes
    ----------
    reason
        For a log line.
    strength, threshold
        Evidence found and needed.
    """

    reason: str
    strength: float
    threshold: float

    def __str__(self) -> str:
        return f"{self.reason} (evidence {self.strength:.1f}, needed {self.threshold:.1f})"


class LatticeFollower:
    """Finds the lattice of the first frame, and follows it through the next ones."""

    def __init__(self) -> None:
        self._last: FrameLattice | None = None
        self._chosen = np.eye(2, dtype=np.int64)
        self._witnesses = np.empty((0, 2), np.int64)
        self._testimony = np.empty(0, np.complex128)
        self._shape: tuple[int, ...] = ()
        self._step_px = 0

    def forget(self) -> None:
        """Make the next frame a first one."""
        self._last = None

    def look(self, image: NDArray[np.float32]) -> FrameLattice | Refusal:
        """Lattice of the next frame.

        Parameters
        ----------
        image : (H, W)
            Finite. Gain, offset and dose may differ from frame to frame.

        Returns
        -------
        FrameLattice or Refusal
            A lattice that has changed too much, or is gone, is searched again in the same call.
        """
        found = self.follow(image)
        return self._search(image) if found is None else found

    def begin(
        self, image: NDArray[np.float32], lattice: Lattice, taken: NDArray[np.bool_] = NOWHERE
    ) -> FrameLattice | None:
        """Lattice of a frame that it was found in, to be followed from now on.

        Parameters
        ----------
        image : (H, W)
            Finite.
        lattice
            From a search.
        taken : (k, m)
            Where another domain is, on any grid over the frame.

        Returns
        -------
        FrameLattice or None
            None where the frame holds too few cells, or no part of it the lattice.
        """
        self._last, self._shape = None, image.shape
        chosen = strongest_pair(lattice)
        self._step_px = step_px = block_side(lattice.cell_px)
        if chosen is None or not has_blocks(image.shape, step_px):
            return None
        self._chosen, self._witnesses = chosen, witnesses(lattice, chosen)
        reciprocal = lattice.reciprocal_per_px
        waves = demodulate(image, reciprocal, chosen, step_px, self._witnesses, taken)
        lock = lock_waves(waves, reciprocal, chosen)
        if lock.share_held < _LEAST_SHARE:
            return None
        self._testimony = self._ask(waves, lock)
        lock = straightened(lock, plane_through(lock.phase, lock, lock.holds).slopes)
        self._last = FrameLattice(_with_basis(lattice, lock), lock, False, None, None)
        return self._last

    def _search(self, image: NDArray[np.float32]) -> FrameLattice | Refusal:
        search = search_lattice(image)
        if search.lattice is None:
            return Refusal(search.reason, search.strength, search.threshold)
        found = self.begin(image, search.lattice)
        return _no_part(search) if found is None else found

    def follow(
        self,
        image: NDArray[np.float32],
        taken: NDArray[np.bool_] = NOWHERE,
        way_px: NDArray[np.float64] | None = None,
    ) -> FrameLattice | None:
        """Lattice of the next frame if it is still that of the last one, else None.

        Parameters
        ----------
        image : (H, W)
            Finite.
        taken : (k, m)
            Where another domain is, on any grid over the frame.
        way_px : (2,)
            Way of the specimen, where somebody knows it: of all ways that look the same, the
            nearest to it is taken, not the shortest.
        """
        last, self._last = self._last, None
        if last is None or image.shape != self._shape:
            return None
        reciprocal = last.lock.reciprocal_per_px
        waves = demodulate(image, reciprocal, self._chosen, self._step_px, self._witnesses, taken)
        lock = lock_waves(waves, reciprocal, self._chosen)
        both = lock.holds & last.lock.holds
        if both.mean() < max(_LEAST_SHARE_LEFT * last.lock.share_held, _LEAST_SHARE):
            return None
        lock = _in_step(lock, last.lock, both, self._chosen)
        change = plane_through(lock.phase - last.lock.phase, lock, both)
        # Rotation and magnification, as a gradient of the displacement.
        if np.abs(lock.basis_px_yx.T @ change.slopes).max() > _MOST_CHANGE:
            return None
        testimony = self._ask(waves, lock)
        turns = self._turns(change.mean, testimony, lock.basis_px_yx, way_px)
        # u = G r + phase stays: a site goes where G d = -(change of phase).
        drift = -(change.mean - turns) @ lock.basis_px_yx
        cov = covariance_of_mean(change.left, both, lock)
        self._testimony = testimony * np.exp(2j * np.pi * (self._witnesses @ turns))
        lock = replace(lock, phase=lock.phase - turns[:, None, None].astype(np.float32))
        lock = straightened(lock, change.slopes)
        self._last = FrameLattice(_with_basis(last.lattice, lock), lock, True, drift, cov)
        return self._last

    def _ask(self, waves: Demodulated, lock: LatticeLock) -> NDArray[np.complex128]:
        """Mean (N,) of each witness against the phase of the lattice, where it holds."""
        held, phase = lock.holds.astype(np.float32), lock.phase
        said = []
        for wave, (h, k) in zip(waves.others, self._witnesses.astype(np.float32), strict=True):
            # In float32: complex exponentials of doubles take ten times as long.
            angle = np.float32(-2 * np.pi) * (h * phase[0] + k * phase[1])
            turned = wave * (np.cos(angle) + np.complex64(1j) * np.sin(angle))
            said.append(complex((turned * held).sum()) / float(held.sum()))
        return np.array(said, np.complex128)

    def _turns(
        self,
        moved: NDArray[np.float64],
        testimony: NDArray[np.complex128],
        basis_px_yx: NDArray[np.float64],
        way_px: NDArray[np.float64] | None,
    ) -> NDArray[np.float64]:
        """Change of phase (2,) that the waves do not see, without which the way is as expected."""
        # Whole turns of the waves: parts of turns of the basis, where they span a part of it.
        # A site goes by -phase @ basis.
        expected = 0.0 if way_px is None else -way_px @ np.linalg.inv(basis_px_yx)
        turns = (np.round(self._chosen @ (moved - expected)) + _AROUND) @ np.linalg.inv(
            self._chosen
        ).T
        if len(self._witnesses):
            # Undone turns t turn the mean of a witness by h.t: it must come out as it was.
            undone = testimony * np.exp(2j * np.pi * (turns @ self._witnesses.T))
            agreed = (undone * np.conj(self._testimony)).real.sum(axis=1)
            turns = turns[agreed > agreed.max() - _SAME * np.abs(agreed).max()]
        ways_px2 = np.square((moved - turns - expected) @ basis_px_yx).sum(axis=1)
        nearest: NDArray[np.float64] = turns[int(np.argmin(ways_px2))]
        return nearest


def _no_part(search: LatticeSearch) -> Refusal:
    """Say that a lattice was found and cannot be locked."""
    reason = "too few cells, or no part of the frame holds it"
    return Refusal(reason, search.strength, search.threshold)


def _in_step(
    lock: LatticeLock, last: LatticeLock, both: NDArray[np.bool_], chosen: NDArray[np.int64]
) -> LatticeLock:
    """Undo whole turns of parts of a frame that nothing links: as little change as can be."""
    if both.all():
        return lock
    change = lock.phase - last.phase
    middle = np.median(change[:, both], axis=1).astype(np.float32)
    waves = chosen.astype(np.float32) @ (change - middle[:, None, None]).reshape(2, -1)
    turns = np.round(waves) * both.ravel()
    if not turns.any():
        return lock
    phase = lock.phase.reshape(2, -1) - np.linalg.inv(chosen).astype(np.float32) @ turns
    return replace(lock, phase=phase.reshape(lock.phase.shape).astype(np.float32))


def _with_basis(lattice: Lattice, lock: LatticeLock) -> Lattice:
    return replace(lattice, basis_px_yx=lock.basis_px_yx)
