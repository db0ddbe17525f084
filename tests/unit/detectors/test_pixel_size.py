"""A known material gives the size of a pixel, and a wrong one gives none."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.detectors.lattice import Lattice, find_lattice, reduce_basis
from latticewatch.detectors.pixel_size import PixelSize, PlaneNet, pixel_size
from support.crystals import image_of, specimen

MOS2 = PlaneNet(a_pm=316.0, b_pm=316.0, angle_deg=120.0)
SRTIO3 = PlaneNet(a_pm=390.5, b_pm=390.5, angle_deg=90.0)
CDTE_110 = PlaneNet(a_pm=648.2, b_pm=648.2 / math.sqrt(2), angle_deg=90.0)


def lattice_of(basis_px: NDArray[np.float64]) -> Lattice:
    return Lattice(reduce_basis(basis_px), np.empty((0, 2), np.int64), np.empty(0))


def test_simulated_crystal_gives_its_pixel_size() -> None:
    for crystal, material in (("mos2", MOS2), ("srtio3", SRTIO3)):
        lattice = find_lattice(image_of(specimen(crystal, seed=3)[0]))
        assert lattice is not None

        size = pixel_size(lattice, material)

        assert size is not None
        assert size.size_pm == pytest.approx(13.1, rel=0.01)
        assert size.error_pm < 0.01 * size.size_pm


@pytest.mark.parametrize("wrong", [SRTIO3, CDTE_110, PlaneNet(316.0, 340.0, 120.0)])
def test_net_of_another_shape_gives_none(wrong: PlaneNet) -> None:
    assert pixel_size(lattice_of(MOS2.basis_pm / 14.0), wrong) is None


def test_distortion_is_the_error() -> None:
    stretched = SRTIO3.basis_pm / 20.0 * np.array([1.01, 0.99])

    size = pixel_size(lattice_of(stretched), SRTIO3)

    assert size is not None
    assert size.size_pm == pytest.approx(20.0, rel=1e-3)
    assert size.error_pm == pytest.approx(0.2, rel=0.01)


@given(
    st.floats(200.0, 900.0),
    st.floats(1.0, 1.8),
    st.floats(60.0, 120.0),
    st.floats(5.0, 40.0),
    st.floats(-math.pi, math.pi),
    st.booleans(),
)
def test_any_net_in_any_orientation_gives_the_scale(
    a_pm: float, ratio: float, angle_deg: float, size_pm: float, turn_rad: float, mirrored: bool
) -> None:
    material = PlaneNet(a_pm, ratio * a_pm, angle_deg)
    cos, sin = math.cos(turn_rad), math.sin(turn_rad)
    turn = np.array([[cos, -sin], [sin, cos]]) * ([1.0, -1.0] if mirrored else [1.0, 1.0])

    size = pixel_size(lattice_of(material.basis_pm @ turn / size_pm), material)

    assert isinstance(size, PixelSize)
    assert size.size_pm == pytest.approx(size_pm, rel=1e-6)
