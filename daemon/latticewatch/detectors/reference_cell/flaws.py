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
