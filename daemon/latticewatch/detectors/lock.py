"""The lattice locked to a frame: where every cell lies, slow distortion of the scan included.

Two reflections are demodulated; their phases say how far the crystal is from an ideal one at each
place (geometric phase analysis, Hytch et al., Ultramicroscopy 74, 131, 1998).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.demodulation import (
    NOWHERE,
    Demodulated,
    block_side,
    demodulate,
    extended,
    has_blocks,
    where_it_holds,
)
from latticewatch.detectors.lattice import Lattice, find_lattice
from latticewatch.kernels.cells import place_cells
from latticewatch.kernels.waves import unwrap, unwrap_smooth

# A lattice bent by more is another one: a twin or a grain turned by a few degrees.
_MOST_STRAIN = 0.08
# Over the noise, of a whole frame. Beyond, phase is good to a hundredth of a turn at any block, and
# shorter reflections are better: they bear more distortion.
_POWER_ENOUGH = 1e4
_STRONG_ENOUGH = 0.5


@dataclass(frozen=True, slots=True)
class LatticeLock:
    """Cell coordinates of a frame: u(r) = G r + phase(r); its whole part is the lattice address.

    Attributes
    ----------
    reciprocal_per_px : (2, 2)
        Rows [gy, gx], cycles per pixel: the dual of `basis_px_yx`.
    basis_px_yx : (2, 2)
        Lattice vectors, rows, pixels.
    phase : (2, h, w) float32
        Turns, at the centres of blocks of `step_px` pixels.
    step_px
        Side of a block; not always whole where the frame is binned.
    amplitude : (h, w) float32
        Of the two waves that carry the phase, over its median where the lattice holds.
    holds : (h, w) bool
        False where there is no such lattice: vacuum, an amorphous part, another domain. The
        phase there is that of the surroundings.
    """

    reciprocal_per_px: NDArray[np.float64]
    basis_px_yx: NDArray[np.float64]
    phase: NDArray[np.float32]
    step_px: float
    amplitude: NDArray[np.float32]
    holds: NDArray[np.bool_]

    @property
    def share_held(self) -> float:
        """Part of the frame that holds the lattice, 0..1."""
        return float(self.holds.mean())

    def holds_at(self, places_yx: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether the lattice holds at places (N, 2), [y, x] in pixels; beyond, as at the edge."""
        last = np.array(self.holds.shape) - 1
        block = np.clip((places_yx + 0.5) // self.step_px, 0, last).astype(np.int64)
        held: NDArray[np.bool_] = self.holds[block[:, 0], block[:, 1]]
        return held

    def part_held(self, shape: tuple[int, int]) -> tuple[slice, slice]:
        """Rows and columns of pixels of the smallest part of a frame with all that holds it.

        With a rim of blocks that do not, unless the frame ends there: what lies beyond a part is
        taken for more of the same.
        """
        bounds = []
        for axis, size in enumerate(shape):
            held, n_blocks = np.flatnonzero(self.holds.any(axis=1 - axis)), self.holds.shape[axis]
            first, beyond = (held[0] - 1, held[-1] + 2) if len(held) else (0, 1)
            step_px = int(self.step_px)
            # Pixels beyond the last block belong to it.
            stop = size if beyond >= n_blocks else int(beyond) * step_px
            bounds.append(slice(max(0, int(first)) * step_px, stop))
        return bounds[0], bounds[1]

    def cut_out(self, part: tuple[slice, slice]) -> "LatticeLock":
        """Return the lock of a part of the frame by itself, from `part_held`; addresses stay."""
        step_px = int(self.step_px)
        blocks = tuple(slice(one.start // step_px, -(-one.stop // step_px)) for one in part)
        corner = np.array([one.start for one in part], np.float64)
        # u = G (r' + corner) + phase.
        begins = (self.reciprocal_per_px @ corner).astype(np.float32)
        return replace(
            self,
            phase=np.ascontiguousarray(self.phase[:, *blocks] + begins[:, None, None]),
            amplitude=np.ascontiguousarray(self.amplitude[blocks]),
            holds=np.ascontiguousarray(self.holds[blocks]),
        )

    @property
    def period_px(self) -> float:
        """Square root of the cell's area."""
        return float(np.sqrt(abs(np.linalg.det(self.basis_px_yx))))

    def places(
        self, addresses: NDArray[np.int64], fraction: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Where cell coordinates lie in the frame.

        Parameters
        ----------
        addresses : (N, 2)
            Whole parts (i, j).
        fraction : (2,) or (N, 2)
            Position of the sublattice in the cell.

        Returns
        -------
        (N, 2)
            [y, x] in pixels, also beyond the edge of the frame.
        """
        wanted = np.ascontiguousarray(addresses + fraction, np.float64)
        places = np.empty_like(wanted)
        place_cells(wanted, self.basis_px_yx, self.phase, self.step_px, places)
        return places

    def corners_of(self, shape: tuple[int, int]) -> NDArray[np.int64]:
        """First and last address (2, 2), along both vectors, that may touch a frame."""
        corners = np.array([(y, x) for y in (0, shape[0]) for x in (0, shape[1])], np.float64)
        reach = corners @ self.reciprocal_per_px.T
        least = self.phase.reshape(2, -1).min(axis=1)
        most = self.phase.reshape(2, -1).max(axis=1)
        first = np.floor(reach.min(axis=0) + least).astype(np.int64) - 2
        last = np.ceil(reach.max(axis=0) + most).astype(np.int64) + 2
        return np.stack([first, last])

    def addresses_in(self, shape: tuple[int, int]) -> NDArray[np.int64]:
        """Every address (N, 2) whose cell may touch a frame of this shape."""
        first, last = self.corners_of(shape)
        grid = np.mgrid[first[0] : last[0] + 1, first[1] : last[1] + 1]
        return np.ascontiguousarray(grid.reshape(2, -1).T)


def lock_lattice(
    image: NDArray[np.float32], lattice: Lattice, taken: NDArray[np.bool_] = NOWHERE
) -> LatticeLock | None:
    """Lock a lattice to the frame that it was found in.

    Parameters
    ----------
    image : (H, W)
        Finite.
    lattice
        Its two strongest independent reflections carry the phase: weak ones lose it in noise.
    taken : (k, m)
        Where another domain is, on any grid over the frame.

    Returns
    -------
    LatticeLock or None
        None if all reflections lie in one row, or the frame is smaller than a few blocks.
    """
    chosen = strongest_pair(lattice)
    step_px = block_side(lattice.cell_px)
    if chosen is None or not has_blocks(image.shape, step_px):
        return None
    found = demodulate(image, lattice.reciprocal_per_px, chosen, step_px, taken=taken)
    return lock_waves(found, lattice.reciprocal_per_px, chosen)


def lock_waves(
    found: Demodulated, reciprocal_per_px: NDArray[np.float64], chosen: NDArray[np.int64]
) -> LatticeLock:
    """Lock a lattice to two of its demodulated reflections.

    Parameters
    ----------
    found
        Waves against the phase of `reciprocal_per_px`.
    reciprocal_per_px : (2, 2)
        Rows [gy, gx], cycles per pixel.
    chosen : (2, 2)
        Indices of the two reflections, rows.
    """
    amplitude, holds = where_it_holds(found)
    factors = extended(found.waves, holds)
    turns = np.stack([_unwrapped(factor, amplitude * holds) for factor in factors])
    to_basis = np.linalg.inv(chosen.astype(np.float64)).astype(np.float32)
    phase = (to_basis @ turns.reshape(2, -1)).reshape(turns.shape)
    basis = np.linalg.inv(reciprocal_per_px).T.astype(np.float64)
    return LatticeLock(
        reciprocal_per_px=reciprocal_per_px,
        basis_px_yx=basis,
        phase=phase,
        step_px=float(found.step_px),
        amplitude=amplitude,
        holds=holds & _is_straight(phase, basis, found.step_px),
    )


def strongest_pair(lattice: Lattice) -> NDArray[np.int64] | None:
    """Choose the indices (2, 2) of the strongest reflection and one beside its row.

    None if all lie in one row. The other one is the next in strength, or one of half its power that
    spans more of the net with the first. Where the two span a part of the net only, the phase
    leaves open which of several cells a place is in, the same for all of a frame: `witnesses` can
    tell. Twins have such a part in common, and where both were chosen from it, it held in both.
    """
    order = _by_power(lattice)
    index = lattice.reflections[order]
    power = np.minimum(lattice.power[order], _POWER_ENOUGH)
    apart = np.abs(index[:, 0] * index[0, 1] - index[:, 1] * index[0, 0])
    others = np.flatnonzero(apart)
    if not len(others):
        return None
    strong = others[power[others] >= _STRONG_ENOUGH * power[others[0]]]
    return np.stack([index[0], index[strong[np.argmin(apart[strong])]]])


def witnesses(lattice: Lattice, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Choose the strongest reflections (N, 2) with which the two chosen span the net.

    None of them where the two span it alone, or where no reflection tells more.
    """
    found: list[NDArray[np.int64]] = []
    spanned = _index_of(chosen)
    for other in lattice.reflections[_by_power(lattice)]:
        if spanned == 1:
            break
        more = _index_of(np.array([*chosen, *found, other]))
        if more < spanned:
            found.append(other)
            spanned = more
    return np.array(found, np.int64).reshape(-1, 2)


def _index_of(vectors: NDArray[np.int64]) -> int:
    """Points of the net per point that these vectors span: their determinants' common divisor."""
    one, other = np.triu_indices(len(vectors), 1)
    areas = vectors[one, 0] * vectors[other, 1] - vectors[one, 1] * vectors[other, 0]
    return int(np.gcd.reduce(areas))


def _by_power(lattice: Lattice) -> NDArray[np.intp]:
    """Order the reflections, strongest first; of very strong ones the shortest first."""
    length = np.linalg.norm(lattice.reflections @ lattice.reciprocal_per_px, axis=1)
    return np.lexsort((length, -np.minimum(lattice.power, _POWER_ENOUGH)))


def _is_straight(
    phase: NDArray[np.float32], basis_px_yx: NDArray[np.float64], step_px: int
) -> NDArray[np.bool_]:
    """Whether the displacement that a phase means changes slowly enough, (h, w)."""
    straight = np.ones(phase.shape[1:], bool)
    # A place of equal address moves by -A^T phase.
    to_px = (basis_px_yx.T / step_px).astype(np.float32)
    # No part of the displacement changes by more than this times a change of phase.
    most = 2.0 * float(np.abs(to_px).max())
    for axis in (0, 1):
        change = np.diff(phase, axis=axis + 1)
        if most * max(float(change.max()), -float(change.min())) < _MOST_STRAIN / np.sqrt(2):
            continue
        bend = np.tensordot(to_px, change, 1)
        bent = np.square(bend).sum(axis=0) > _MOST_STRAIN**2
        if bent.any():
            before = [slice(None)] * 2
            after = [slice(None)] * 2
            before[axis], after[axis] = slice(None, -1), slice(1, None)
            straight[tuple(before)] &= ~bent
            straight[tuple(after)] &= ~bent
    return straight


def _unwrapped(factors: NDArray[np.complex64], quality: NDArray[np.float32]) -> NDArray[np.float32]:
    """Phase in turns, whole turns taken out."""
    turns = (np.angle(factors) / np.float32(2 * np.pi)).astype(np.float32)
    out = np.empty_like(turns)
    if not unwrap_smooth(turns, out):
        unwrap(turns, quality, out)
    return out


def own_lock(pixels: NDArray[np.float32]) -> LatticeLock | None:
    """Lock of a frame by itself: 60 ms for 1024 x 1024."""
    lattice = find_lattice(pixels)
    return None if lattice is None else lock_lattice(pixels, lattice)
