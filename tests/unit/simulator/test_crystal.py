"""Columns of the three crystals."""

from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import KDTree

from latticewatch.simulator.crystal import CRYSTALS, Columns, lay_columns, rotate


def laid(name: str, rotation_rad: float = 0.3) -> Columns:
    return lay_columns(
        CRYSTALS[name],
        rotation_rad=rotation_rad,
        origin_nm_yx=np.array([0.05, 0.11]),
        radius_nm=4.0,
    )


def inner(columns: Columns, sublattice: int) -> NDArray[np.float64]:
    """Columns of one kind, far enough inside to have all their neighbours."""
    is_inner = np.hypot(columns.nm_yx[:, 0], columns.nm_yx[:, 1]) < 3.0
    places: NDArray[np.float64] = columns.nm_yx[is_inner & (columns.sublattice == sublattice)]
    return places


@pytest.mark.parametrize("rotation_rad", [0.0, 0.3, -2.0])
def test_each_mo_has_three_sulphur_columns_around_it(rotation_rad: float) -> None:
    columns = laid("mos2", rotation_rad)
    sulphur = KDTree(columns.nm_yx[columns.sublattice == 1])
    distance_nm, _ = sulphur.query(inner(columns, 0), k=4)
    np.testing.assert_allclose(distance_nm[:, :3], 0.316 / sqrt(3), rtol=1e-9)
    np.testing.assert_allclose(distance_nm[:, 3], 2 * 0.316 / sqrt(3), rtol=1e-9)


def test_sulphur_pair_is_visible_but_weaker_than_mo() -> None:
    mo, s2 = CRYSTALS["mos2"].sublattices
    assert 0.3 < s2.cross_section_ang2 / mo.cross_section_ang2 < 0.5


def test_titanium_sits_in_the_middle_of_four_strontium_columns() -> None:
    columns = laid("srtio3")
    strontium = KDTree(columns.nm_yx[columns.sublattice == 0])
    distance_nm, _ = strontium.query(inner(columns, 1), k=4)
    np.testing.assert_allclose(distance_nm, 0.3905 / sqrt(2), rtol=1e-9)


def test_dumbbells_are_a_quarter_of_the_cell_long() -> None:
    columns = laid("zincblende")
    tellurium = KDTree(columns.nm_yx[columns.sublattice == 1])
    distance_nm, _ = tellurium.query(inner(columns, 0), k=1)
    np.testing.assert_allclose(distance_nm, 0.648 / 4, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "per_nm2"),
    [
        ("mos2", 2 / (0.316**2 * sqrt(0.75))),
        ("srtio3", 4 / 0.3905**2),
        ("zincblende", 4 / (0.648 * 0.648 / sqrt(2))),
    ],
)
def test_the_disc_is_filled_without_a_gap(name: str, per_nm2: float) -> None:
    n_columns = len(laid(name).nm_yx)
    assert n_columns == pytest.approx(np.pi * 4.0**2 * per_nm2, rel=0.03)


def test_a_positive_turn_takes_x_towards_y() -> None:
    y, x = rotate(np.array([0.0, 2.0]), 0.1)
    assert (y, x) == pytest.approx((2 * np.sin(0.1), 2 * np.cos(0.1)))
