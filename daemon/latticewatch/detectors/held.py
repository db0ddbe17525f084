"""How far from vacuum or another domain a lattice is looked at."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.lock import LatticeLock

# Periods from where the low-passed waves are half as high, which is up to one beyond the last
# column: columns nearer have other neighbours; pixels nearer may be vacuum.
_RIM, _RIM_OF_PIXELS = 3.0, 2.0


def well_within(lock: LatticeLock) -> NDArray[np.bool_]:
    """Tell which blocks (h, w) hold the lattice, and so do all within three periods."""
    return _eroded(lock, _RIM)


def usable_pixels(lock: LatticeLock, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Tell which pixels (H, W) the lattice holds, and so do all blocks within two periods."""
    last = np.array(lock.holds.shape) - 1
    rows, columns = (
        np.minimum((np.arange(size) + 0.5) / lock.step_px, end).astype(np.intp)
        for size, end in zip(shape, last, strict=True)
    )
    usable: NDArray[np.bool_] = _eroded(lock, _RIM_OF_PIXELS)[rows[:, None], columns]
    return usable


def _eroded(lock: LatticeLock, rim: float) -> NDArray[np.bool_]:
    if lock.holds.all():
        return lock.holds
    n_blocks = round(rim * lock.period_px / lock.step_px)
    within: NDArray[np.bool_] = ndimage.binary_erosion(
        lock.holds, np.ones((3, 3), bool), iterations=max(1, n_blocks), border_value=1
    )
    return within


def at_blocks(
    blocks: NDArray[np.bool_], step_px: float, places_yx: NDArray[np.number]
) -> NDArray[np.bool_]:
    """Take the value of the block that each place (N, 2) lies in, or of the last one."""
    if blocks.all():
        return np.ones(len(places_yx), np.bool_)
    block = np.clip((places_yx + 0.5) / step_px, 0, np.array(blocks.shape) - 1).astype(np.intp)
    values: NDArray[np.bool_] = blocks[block[:, 0], block[:, 1]]
    return values
