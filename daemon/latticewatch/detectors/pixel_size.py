"""Size of a pixel, from the lattice of a known material."""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lattice import Lattice, reduce_basis

MOST_MISFIT = 0.05
"""Ratio of the scales along two directions, less one, that scan distortion may explain.

Chosen: frames of microscopes differ by 3 per cent and more between the axes of the scan, and a
material is named by somebody who knows it.
"""

# Every basis of a reduced net that may be the shortest one but for errors of measurement.
_NEIGHBOURS = np.array(
    [
        ((i, j), (k, m))
        for i, j, k, m in itertools.product((-1, 0, 1), repeat=4)
        if abs(i * m - j * k) == 1
    ]
)


@dataclass(frozen=True, slots=True)
class PlaneNet:
    """Net of a material seen along a zone axis, its primitive cell.

    Attributes
    ----------
    a_pm, b_pm
        Lengths of two lattice vectors, picometres.
    angle_deg
        Between them.
    """

    a_pm: float
    b_pm: float
    angle_deg: float

    @property
    def basis_pm(self) -> NDArray[np.float64]:
        """Vectors (2, 2), rows, in some orientation."""
        angle = np.radians(self.angle_deg)
        return np.array([[self.a_pm, 0.0], [self.b_pm * np.cos(angle), self.b_pm * np.sin(angle)]])


@dataclass(frozen=True, slots=True)
class PixelSize:
    """Side of a pixel.

    Attributes
    ----------
    size_pm
        Picometres, mean over directions.
    error_pm
        Half the difference between the directions of largest and smallest scale: what the scan
        distorts is far more than what noise does.
    """

    size_pm: float
    error_pm: float


def pixel_size(
    lattice: Lattice, material: PlaneNet, most_misfit: float = MOST_MISFIT
) -> PixelSize | None:
    """Size of a pixel, or None where angle and ratio of the lattice are not the material's.

    Parameters
    ----------
    lattice
        Found in the frame.
    material
        What it is.
    most_misfit
        By how much the scales along two directions may differ, as a part of one.

    Examples
    --------
    >>> found = Lattice(np.array([[0.0, 20.0], [20.0, 0.0]]), np.empty((0, 2), int), np.empty(0))
    >>> pixel_size(found, PlaneNet(a_pm=390.5, b_pm=390.5, angle_deg=90.0)).size_pm
    19.525
    >>> pixel_size(found, PlaneNet(a_pm=316.0, b_pm=316.0, angle_deg=120.0)) is None
    True
    """
    bases = _NEIGHBOURS @ lattice.basis_px_yx
    # B F = M: the stretches of F are scales, its turn is that of the crystal.
    scales = np.linalg.svd(np.linalg.solve(bases, reduce_basis(material.basis_pm)))[1]
    largest, smallest = scales[np.argmin(scales[:, 0] / scales[:, 1])]
    if largest > (1.0 + most_misfit) * smallest:
        return None
    return PixelSize(round(float(np.sqrt(largest * smallest)), 9), float(largest - smallest) / 2)
