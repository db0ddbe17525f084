"""What a frame shows that is not the crystal, and which way its contrast goes."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Flaws:
    """What must not be taken for the crystal.

    Attributes
    ----------
    contrast
        +1: columns are bright; -1: dark, as in bright field.
    bad_yx : (B, 2)
        Pixels that were repaired.
    """

    contrast: int = 1
    bad_yx: NDArray[np.intp] = field(default_factory=lambda: np.empty((0, 2), np.intp))


NO_FLAWS = Flaws()


def flawed_pixels(
    bad_yx: NDArray[np.intp], stride: int, shape: tuple[int, int]
) -> NDArray[np.intp]:
    """Pixels (C, 2) of a binned frame of this shape that hold a bad one."""
    if not len(bad_yx):
        return bad_yx
    binned = bad_yx // stride
    inside = (binned[:, 0] < shape[0]) & (binned[:, 1] < shape[1])
    return np.unique(binned[inside], axis=0)


def near_pixels(
    bad_yx: NDArray[np.intp], shape: tuple[int, int], reach_px: int
) -> NDArray[np.bool_]:
    """Tell which pixels (H, W) have a bad one in the square of `reach_px` around them."""
    # Sums over all rows and columns above: a square's count takes four look-ups.
    total = np.zeros((shape[0] + 1, shape[1] + 1), np.int32)
    total[bad_yx[:, 0] + 1, bad_yx[:, 1] + 1] = 1
    total = total.cumsum(axis=0).cumsum(axis=1)
    y, x = np.arange(shape[0]), np.arange(shape[1])
    top, bottom = np.maximum(y - reach_px, 0), np.minimum(y + reach_px + 1, shape[0])
    left, right = np.maximum(x - reach_px, 0), np.minimum(x + reach_px + 1, shape[1])
    count = total[np.ix_(bottom, right)] - total[np.ix_(top, right)]
    count -= total[np.ix_(bottom, left)] - total[np.ix_(top, left)]
    near: NDArray[np.bool_] = count > 0
    return near
