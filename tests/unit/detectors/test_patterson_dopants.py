"""Columns of a doped crystal: species by sublattice, and a picture in which all are alike."""

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.lattice import find_lattice
from latticewatch.detectors.lock import own_lock
from latticewatch.detectors.patterson.dopants import ColumnFinder, Columns
from latticewatch.detectors.patterson.finder import PattersonFinder
from latticewatch.detectors.site_choice import choose_site_rule
from latticewatch.detectors.sites import SiteRule
from support.crystals import CRYSTALS, Image, image_of, specimen
from support.honeycomb import Honeycomb, honeycomb


def rule_for(image: Image) -> SiteRule:
    lattice = find_lattice(image)
    assert lattice is not None
    return choose_site_rule(image, lattice, smooth_sigma=0.13, min_distance=0.25)[0]


def columns_of(image: Image) -> Columns:
    return ColumnFinder(rule_for(image)).look(image, own_lock(image))


@pytest.fixture(scope="module")
def drawn() -> Honeycomb:
    return honeycomb(2, side_px=512, n_absent=6, n_displaced=4)


def left_alone(drawn: Honeycomb) -> NDArray[np.bool_]:
    """Columns away from the edge that are in place, and so are their neighbours."""
    inner = ((drawn.ideal_yx > 30) & (drawn.ideal_yx < 481)).all(axis=1)
    moved = drawn.ideal_yx[drawn.displaced]
    gap = np.linalg.norm(drawn.ideal_yx[:, None] - moved[None], axis=2).min(axis=1)
    return np.asarray(inner & ~drawn.absent & (gap > 16.0))


@pytest.fixture(scope="module")
def columns(drawn: Honeycomb) -> Columns:
    return columns_of(drawn.counts)


def test_dopants_are_told_from_the_host(drawn: Honeycomb, columns: Columns) -> None:
    inner = left_alone(drawn)
    row = columns.nearest(drawn.drawn_yx, 3.0)
    met = inner & (row >= 0)

    assert met.sum() >= 0.998 * inner.sum()
    assert columns.is_dopant[row[met & drawn.dopant]].mean() >= 0.98
    assert columns.is_dopant[row[met & ~drawn.dopant]].mean() <= 0.005
    assert [round(pair[1].ratio, 1) for pair in columns.populations] == [1.4, 1.4]


def test_columns_are_placed_to_a_third_of_a_pixel(drawn: Honeycomb, columns: Columns) -> None:
    row = columns.nearest(drawn.drawn_yx, 3.0)
    gap = columns.places_yx[row] - drawn.drawn_yx
    assert np.sqrt(np.square(gap[(row >= 0) & ~drawn.displaced]).mean()) < 0.33


@pytest.mark.parametrize("dose", [0.12, 1.0, 4.0])
def test_undoped_crystal_has_one_species_at_any_dose(dose: float) -> None:
    image = honeycomb(3, side_px=512, dopants=0.0, dose=dose).counts
    assert [len(each) for each in columns_of(image).populations] == [1, 1]


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_sublattices_of_different_brightness_are_no_dopants(crystal: str) -> None:
    columns = columns_of(image_of(specimen(crystal, seed=5)[0]))
    assert len(columns.populations) == 2
    assert not columns.is_dopant.any()


def test_nothing_is_near_a_place_without_columns(columns: Columns) -> None:
    assert columns.nearest(np.array([[-500.0, 0.0]]), 6.0).tolist() == [-1]
    assert columns.nearest(np.empty((0, 2)), 6.0).shape == (0,)


def test_without_a_lock_all_columns_are_of_one_sublattice(drawn: Honeycomb) -> None:
    columns = ColumnFinder(rule_for(drawn.counts)).look(drawn.counts)
    assert (columns.sublattice == 0).all()
    assert len(columns.populations) == 1


def test_thickness_that_changes_over_the_field_makes_no_species() -> None:
    image = honeycomb(4, side_px=512, dopants=0.0).counts
    image *= np.linspace(0.6, 1.4, 512, dtype=np.float32)
    columns = columns_of(image)
    assert [len(each) for each in columns.populations] == [1, 1]


def test_redrawn_columns_are_alike_and_absent_ones_stay_absent(drawn: Honeycomb) -> None:
    finder = PattersonFinder(rule_for(drawn.counts), "columns")

    view, columns = finder.prepare(drawn.counts)

    assert columns is not None
    assert view.address is not None
    y, x = np.clip(np.round(drawn.ideal_yx).astype(int), 0, 511).T
    level = view.image[y, x]
    whole = left_alone(drawn)
    assert level[whole].min() > 0.8
    assert level[whole].max() < 1.3
    assert level[drawn.absent].max() < 0.4


@pytest.mark.parametrize("value", [0.0, 7.0, 65535.0])
def test_blank_frame_has_no_columns(drawn: Honeycomb, value: float) -> None:
    finder = PattersonFinder(rule_for(drawn.counts), "columns")
    view, columns = finder.prepare(np.full((512, 512), value, np.float32))
    assert columns is None
    assert not view.is_periodic
    alone = ColumnFinder(finder._sites.rule).look(np.full((512, 512), value, np.float32))
    assert len(alone.places_yx) == 0
    assert alone.nearest(np.array([[3.0, 4.0]]), 6.0).tolist() == [-1]
