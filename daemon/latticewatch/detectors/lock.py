"""The lattice locked to a frame: where every cell lies, slow distortion of the scan included.

Two reflections are demodulated; their phases say how far the crystal is from an ideal one at each
place (geometric phase analysis, Hytch et al., Ultramicroscopy 74, 131, 1998).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lattice import Lattice
from latticewatch.kernels.cells import place_cells
from latticewatch.kernels.grids import block_means, subtract_grid
from latticewatch.kernels.smooth import gaussian, gaussian_scratch, gaussian_weights
from latticewatch.kernels.waves import block_wave, unwrap

# Lengths in lattice periods.
# Over which a wave is averaged first. What the blocks alias to zero is what they average away.
_BLOCK = 0.5
_LOW_PASS = 1.5  # wide enough for 28 cells, narrow enough to follow the scan
_BACKGROUND = 2.0
_FEWEST_BLOCKS = 9


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
    """

    reciprocal_per_px: NDArray[np.float64]
    basis_px_yx: NDArray[np.float64]
    phase: NDArray[np.float32]
    step_px: float

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
        fraction : (2,)
            Position of the sublattice in the cell.

        Returns
        -------
        (N, 2)
            [y, x] in pixels, also beyond the edge of the frame.
        """
        places = np.empty((len(addresses), 2))
        wanted = addresses + fraction
        place_cells(wanted, self.basis_px_yx, self.phase, self.step_px, places)
        return places

    def addresses_in(self, shape: tuple[int, int]) -> NDArray[np.int64]:
        """Every address (N, 2) whose cell may touch a frame of this shape."""
        corners = np.array([(y, x) for y in (0, shape[0]) for x in (0, shape[1])], np.float64)
        reach = corners @ self.reciprocal_per_px.T
        least = self.phase.reshape(2, -1).min(axis=1)
        most = self.phase.reshape(2, -1).max(axis=1)
        first = np.floor(reach.min(axis=0) + least).astype(np.int64) - 2
        last = np.ceil(reach.max(axis=0) + most).astype(np.int64) + 2
        grid = np.mgrid[first[0] : last[0] + 1, first[1] : last[1] + 1]
        return np.ascontiguousarray(grid.reshape(2, -1).T)


def lock_lattice(image: NDArray[np.float32], lattice: Lattice) -> LatticeLock | None:
    """Lock a lattice to the frame that it was found in.

    Parameters
    ----------
    image : (H, W)
        Finite.
    lattice
        Its two strongest independent reflections carry the phase: weak ones lose it in noise.

    Returns
    -------
    LatticeLock or None
        None if all reflections lie in one row, or the frame is smaller than a few blocks.
    """
    chosen = _strongest_pair(lattice)
    step = max(2, round(_BLOCK * lattice.cell_px))
    height, width = image.shape
    shape = (height // step, width // step)
    if chosen is None or min(shape) < _FEWEST_BLOCKS:
        return None
    flat = _without_background(image, step, shape, lattice.cell_px)
    sigma = _LOW_PASS * lattice.cell_px / step
    waves = [_wave(flat, lattice.reciprocal_per_px, index, step, sigma) for index in chosen]
    turns = np.stack([_unwrapped(wave) for wave in waves])
    phase = np.tensordot(np.linalg.inv(chosen.astype(np.float64)), turns, 1)
    return LatticeLock(
        reciprocal_per_px=lattice.reciprocal_per_px,
        basis_px_yx=lattice.basis_px_yx,
        phase=np.ascontiguousarray(phase, np.float32),
        step_px=float(step),
    )


def _strongest_pair(lattice: Lattice) -> NDArray[np.int64] | None:
    """Return the indices (2, 2) of the strongest reflection and the next not parallel to it."""
    index = lattice.reflections[np.argsort(-lattice.power, kind="stable")]
    first = index[0]
    for other in index[1:]:
        if first[0] * other[1] != first[1] * other[0]:
            return np.stack([first, other])
    return None


def _without_background(
    image: NDArray[np.float32], step: int, shape: tuple[int, int], period_px: float
) -> NDArray[np.float32]:
    means = np.empty(shape, np.float32)
    block_means(image, step, means)
    flat = np.empty_like(image)
    subtract_grid(image, _blurred(means, _BACKGROUND * period_px / step), step, flat)
    return flat


def _blurred(grid: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    weights = gaussian_weights(sigma)
    out = np.empty_like(grid)
    gaussian(grid, weights, gaussian_scratch(grid.shape[1], weights), out)
    return out


def _wave(
    flat: NDArray[np.float32],
    reciprocal_per_px: NDArray[np.float64],
    index: NDArray[np.int64],
    step: int,
    sigma: float,
) -> NDArray[np.complex64]:
    """Amplitude and phase of one reflection at the blocks."""
    g = index @ reciprocal_per_px
    parts = np.empty((2, flat.shape[0] // step, flat.shape[1] // step), np.float32)
    block_wave(flat, (float(g[0]), float(g[1])), step, parts)
    return _blurred(parts[0], sigma) + np.complex64(1j) * _blurred(parts[1], sigma)


def _unwrapped(wave: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Phase in turns, whole turns taken out."""
    turns = (np.angle(wave) / np.float32(2 * np.pi)).astype(np.float32)
    out = np.empty_like(turns)
    unwrap(turns, np.abs(wave), out)
    return out
