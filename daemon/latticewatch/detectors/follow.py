"""A lattice followed from frame to frame: where it has gone, and what its sites are called.

Only two reflections are looked at while the crystal stays: a sixth of the time of a search.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.demodulation import (
    LOW_PASS_PERIODS,
    Demodulated,
    block_side,
    demodulate,
    has_blocks,
)
from latticewatch.detectors.lattice import Lattice, search_lattice
from latticewatch.detectors.lock import LatticeLock, lock_waves, strongest_pair, witnesses

# Rotation (rad) or relative change of length from one frame to the next: beyond, it is searched.
_MOST_CHANGE = 0.015
# Of the blocks that held the lattice, so many must still do, and of the frame so many.
_LEAST_SHARE_LEFT = 0.5
_LEAST_SHARE = 0.02
# Turns of a wave about the nearest number: as many as a shortest lattice vector may be of orders of
# a strong reflection.
_AROUND = np.array([(i, j) for i in range(-4, 5) for j in range(-4, 5)])
_SAME = 0.1  # of what witnesses say: cells that they do not tell apart differ by rounding only
_FEWEST_PATCHES = 3.0  # independent ones, for a covariance


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
        hold it; of all ways that look the same, the shortest. None where not followed.
    drift_cov_px : (2, 2)
        Its covariance, square pixels.
    """

    lattice: Lattice
    lock: LatticeLock
    followed: bool
    drift_px_yx: NDArray[np.float64] | None
    drift_cov_px: NDArray[np.float64] | None


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
        last, self._last = self._last, None
        found: FrameLattice | Refusal | None = None
        if last is not None and image.shape == self._shape:
            found = self._follow(image, last)
        if found is None:
            found = self._search(image)
        if isinstance(found, FrameLattice):
            self._last = found
            self._shape = image.shape
        return found

    def _search(self, image: NDArray[np.float32]) -> FrameLattice | Refusal:
        search = search_lattice(image)
        if search.lattice is None:
            return Refusal(search.reason, search.strength, search.threshold)
        chosen = strongest_pair(search.lattice)
        self._step_px = step_px = block_side(search.lattice.cell_px)
        if chosen is None or not has_blocks(image.shape, step_px):
            return Refusal("too few cells in the frame", search.strength, search.threshold)
        self._chosen, self._witnesses = chosen, witnesses(search.lattice, chosen)
        reciprocal = search.lattice.reciprocal_per_px
        waves = demodulate(image, reciprocal, chosen, step_px, self._witnesses)
        lock = lock_waves(waves, reciprocal, chosen)
        if lock.share_held < _LEAST_SHARE:
            return Refusal("no part of the frame holds it", search.strength, search.threshold)
        self._testimony = self._ask(waves, lock)
        lock = _straightened(lock, _plane(lock.phase, lock, lock.holds).slopes)
        return FrameLattice(_with_basis(search.lattice, lock), lock, False, None, None)

    def _follow(self, image: NDArray[np.float32], last: FrameLattice) -> FrameLattice | None:
        """Lattice of a frame that shows what the last one did, or None."""
        reciprocal = last.lock.reciprocal_per_px
        waves = demodulate(image, reciprocal, self._chosen, self._step_px, self._witnesses)
        lock = lock_waves(waves, reciprocal, self._chosen)
        both = lock.holds & last.lock.holds
        if both.mean() < max(_LEAST_SHARE_LEFT * last.lock.share_held, _LEAST_SHARE):
            return None
        lock = _in_step(lock, last.lock, both, self._chosen)
        change = _plane(lock.phase - last.lock.phase, lock, both)
        # Rotation and magnification, as a gradient of the displacement.
        if np.abs(lock.basis_px_yx.T @ change.slopes).max() > _MOST_CHANGE:
            return None
        testimony = self._ask(waves, lock)
        turns = self._turns(change.mean, testimony, lock.basis_px_yx)
        # u = G r + phase stays: a site goes where G d = -(change of phase).
        drift = -(change.mean - turns) @ lock.basis_px_yx
        cov = _covariance(change.left, both, lock)
        self._testimony = testimony * np.exp(2j * np.pi * (self._witnesses @ turns))
        lock = replace(lock, phase=lock.phase - turns[:, None, None].astype(np.float32))
        lock = _straightened(lock, change.slopes)
        return FrameLattice(_with_basis(last.lattice, lock), lock, True, drift, cov)

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
    ) -> NDArray[np.float64]:
        """Change of phase (2,) that the waves do not see, without which the way is shortest."""
        # Whole turns of the waves: parts of turns of the basis, where they span a part of it.
        turns = (np.round(self._chosen @ moved) + _AROUND) @ np.linalg.inv(self._chosen).T
        if len(self._witnesses):
            # Undone turns t turn the mean of a witness by h.t: it must come out as it was.
            undone = testimony * np.exp(2j * np.pi * (turns @ self._witnesses.T))
            agreed = (undone * np.conj(self._testimony)).real.sum(axis=1)
            turns = turns[agreed > agreed.max() - _SAME * np.abs(agreed).max()]
        ways_px2 = np.square((moved - turns) @ basis_px_yx).sum(axis=1)
        nearest: NDArray[np.float64] = turns[int(np.argmin(ways_px2))]
        return nearest


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


def _block_centres(lock: LatticeLock) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of the rows (h, 1) and of the columns (1, w) of blocks, pixels from the middle."""
    y, x = (np.arange(n, dtype=np.float32) - (n - 1) / 2 for n in lock.holds.shape)
    step_px = np.float32(lock.step_px)
    return y[:, None] * step_px, x[None] * step_px


@dataclass(frozen=True, slots=True)
class _Plane:
    """Least-squares plane through two fields where they count.

    Attributes
    ----------
    mean : (2,)
        Of the fields.
    slopes : (2, 2)
        Of each field along y and x, per pixel.
    left : (2, h, w)
        The fields less the plane, zero where they do not count.
    """

    mean: NDArray[np.float64]
    slopes: NDArray[np.float64]
    left: NDArray[np.float32]


def _plane(fields: NDArray[np.float32], lock: LatticeLock, used: NDArray[np.bool_]) -> _Plane:
    y, x = _block_centres(lock)
    weight = used.astype(np.float32)
    terms = np.stack([weight, weight * y, weight * x]).reshape(3, -1)
    ones = np.stack([np.ones_like(weight), y + 0 * weight, x + 0 * weight]).reshape(3, -1)
    flat = fields.reshape(2, -1)
    # Sums in doubles would cost three times as much; what matters of them is a thousandth. Blocks
    # in one row say nothing of the slope across it: the smallest one is taken.
    plane = np.linalg.lstsq(
        (terms @ ones.T).astype(np.float64), (terms @ flat.T).astype(np.float64), rcond=1e-9
    )[0]
    left = ((flat - plane.T.astype(np.float32) @ ones) * weight.ravel()).reshape(fields.shape)
    mean = (flat @ weight.ravel()) / weight.sum()
    return _Plane(mean.astype(np.float64), plane[1:].T, left)


def _straightened(lock: LatticeLock, slopes: NDArray[np.float64]) -> LatticeLock:
    """Put the linear part of the phase into the reciprocal vectors; cell coordinates stay."""
    first = (lock.step_px - 1) / 2
    y, x = (first + lock.step_px * np.arange(n) for n in lock.holds.shape)
    linear = slopes[:, 0, None, None] * y[:, None] + slopes[:, 1, None, None] * x
    reciprocal = lock.reciprocal_per_px + slopes
    return replace(
        lock,
        reciprocal_per_px=reciprocal,
        basis_px_yx=np.linalg.inv(reciprocal).T.astype(np.float64),
        phase=(lock.phase - linear).astype(np.float32),
    )


def _covariance(
    left: NDArray[np.float32], both: NDArray[np.bool_], lock: LatticeLock
) -> NDArray[np.float64]:
    """Covariance (2, 2) of the mean way, from the scatter of the phase over the frame.

    The low-pass leaves independent patches of 4 pi sigma^2 pixels. Rows of a scan are displaced
    as a whole: means of rows scatter by more than patches say, and the larger of both is taken.
    """
    patch_px = 2 * np.sqrt(np.pi) * LOW_PASS_PERIODS * lock.period_px
    n_blocks = float(both.sum())
    of_patches = _of_mean(left.reshape(2, -1), n_blocks, n_blocks * lock.step_px**2 / patch_px**2)
    counts = both.sum(axis=1)
    means = left.sum(axis=2)[:, counts > 0] / counts[counts > 0]
    n_rows = float(means.shape[1])
    of_rows = _of_mean(means, n_rows, n_rows * lock.step_px / patch_px)
    larger = max(of_patches, of_rows, key=lambda cov: float(np.trace(cov)))
    return lock.basis_px_yx.T @ larger @ lock.basis_px_yx


def _of_mean(left: NDArray[np.floating], n_values: float, n_patches: float) -> NDArray[np.float64]:
    """Covariance of a mean of deviations; a plane took three degrees of freedom."""
    scatter = (left @ left.T).astype(np.float64) / n_values
    return scatter / max(n_patches - _FEWEST_PATCHES, 1.0)
