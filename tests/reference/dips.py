"""What latticewatch.kernels.dips computes, spelled out in double precision."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Field = NDArray[np.float64]


def dips_across(
    amplitude: NDArray[np.float32], least: NDArray[np.float32], offset: tuple[float, float]
) -> tuple[Field, Field]:
    """Second largest and smallest dip of all reflections at each place."""
    y, x = np.indices(amplitude.shape[1:])
    dips = []
    for field, floor in zip(amplitude.astype(np.float64), least, strict=True):
        one, other = (
            ndimage.map_coordinates(
                field, [y + sign * offset[0], x + sign * offset[1]], order=1, mode="nearest"
            )
            for sign in (-1, 1)
        )
        side = np.minimum(one, other)
        with np.errstate(divide="ignore", invalid="ignore"):
            dips.append(np.where(side > floor, 1 - field / side, 0.0))
    ordered = np.sort(dips, axis=0)
    second = ordered[-2] if len(ordered) > 1 else np.full(ordered[0].shape, -np.inf)
    return second, ordered[0]
