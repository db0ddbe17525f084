"""Sites that the lattice predicts: all of them, where they are, and masked where there is none."""

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.lattice import find_lattice
from latticewatch.detectors.lattice_sites import cell_coordinates, site_fraction, sites_on
from latticewatch.detectors.lock import LatticeLock, own_lock
from latticewatch.detectors.site_choice import choose_site_rule
from latticewatch.detectors.sites import SiteFinder, View, expected_places
from support.crystals import CRYSTALS, image_of, in_force, specimen
from support.honeycomb import Honeycomb, honeycomb


def locked(image: NDArray[np.float32]) -> LatticeLock:
    lock = own_lock(image)
    assert lock is not None
    return lock


def finder_for(image: NDArray[np.float32]) -> SiteFinder:
    lattice = find_lattice(image)
    assert lattice is not None
    return SiteFinder(choose_site_rule(image, lattice, smooth_sigma=0.13, min_distance=0.25)[0])


def gaps(places: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(places[:, None] - others[None], axis=2).min(axis=1))


@pytest.fixture(scope="module")
def drawn() -> Honeycomb:
    return honeycomb(1, side_px=512, dopants=0.0, n_absent=6, n_displaced=4)


@pytest.fixture(scope="module")
def view(drawn: Honeycomb) -> View:
    return finder_for(drawn.counts).prepare(drawn.counts, locked(drawn.counts))


def test_every_hole_is_a_site_and_every_site_a_hole(drawn: Honeycomb, view: View) -> None:
    inner = ((drawn.holes_yx > 5) & (drawn.holes_yx < 506)).all(axis=1)
    site = ((view.places_yx > 5) & (view.places_yx < 506)).all(axis=1)

    assert gaps(drawn.holes_yx[inner], view.places_yx).max() < 6
    assert gaps(view.places_yx[site], drawn.holes_yx).max() < 6
    good = drawn.bad_hole == 0
    assert np.sqrt(np.square(gaps(drawn.holes_yx[inner & good], view.places_yx)).mean()) < 1.0


def test_absent_columns_neither_add_nor_merge_sites(drawn: Honeycomb, view: View) -> None:
    beside = drawn.holes_yx[drawn.bad_hole == 2]
    n_near = (np.linalg.norm(beside[:, None] - view.places_yx[None], axis=2) < 6).sum(axis=1)

    assert (n_near == 1).all()


def test_addresses_are_unique_and_say_where_sites_are(drawn: Honeycomb, view: View) -> None:
    assert view.address is not None
    assert len(np.unique(view.address, axis=0)) == len(view.address) == len(view.places_yx)
    lock = locked(drawn.counts)
    fraction = cell_coordinates(view.places_yx, lock) - view.address
    assert np.abs(fraction - np.median(fraction, axis=0))[~view.predicted].max() < 0.2


def test_links_lead_to_the_sites_at_the_vectors(view: View) -> None:
    vectors = np.concatenate([view.basis_px_yx, -view.basis_px_yx])
    for column, vector in enumerate(vectors):
        linked = view.links[:, column] >= 0
        steps = view.places_yx[view.links[linked, column]] - view.places_yx[linked]
        assert np.abs(np.median(steps, axis=0) - vector).max() < 0.3
        assert linked.mean() > 0.85
    wanted = expected_places(view, np.arange(len(view.places_yx)))
    assert np.median(np.linalg.norm(wanted - view.places_yx, axis=1)) < 1.0


def test_crystal_is_linked_and_nothing_of_it_is_empty(view: View) -> None:
    assert view.linked > 0.9
    assert view.is_periodic
    assert not view.rim.any()
    assert view.rms_px < 1.0


def test_half_empty_field_has_rim_where_it_is_empty(drawn: Honeycomb) -> None:
    counts = drawn.counts.copy()
    rng = np.random.default_rng(0)
    counts[:, :230] = rng.poisson(6.0, (512, 230))

    found = finder_for(drawn.counts).prepare(counts, locked(counts))

    empty = found.places_yx[:, 1] < 215
    crystal = found.places_yx[:, 1] > 275
    assert found.rim[empty].all()
    assert not found.rim[crystal].any()
    assert found.is_periodic


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_predicted_sites_are_those_found_as_extrema(crystal: str) -> None:
    image = image_of(specimen(crystal, seed=4, perfect=True)[0])
    finder = SiteFinder(in_force(crystal).detector.model.rule)
    extrema = finder.prepare(image).places_yx.copy()

    predicted = finder.prepare(image, locked(image))

    inner = ((extrema > 10) & (extrema < 501)).all(axis=1)
    assert predicted.address is not None
    assert np.quantile(gaps(extrema[inner], predicted.places_yx), 0.99) < 1.0
    assert abs(predicted.period_px / finder.rule.period_px - 1) < 0.005


def test_noise_agrees_on_no_place_in_a_cell_or_is_no_crystal(drawn: Honeycomb) -> None:
    """The lock of another frame, as after the specimen has left the field."""
    lock, finder = locked(drawn.counts), finder_for(drawn.counts)
    for seed in range(5):
        noise = np.random.default_rng(seed).poisson(20.0, (512, 512)).astype(np.float32)
        assert not finder.prepare(noise, lock).is_periodic


@pytest.mark.parametrize("value", [0.0, 65535.0])
def test_blank_frame_has_no_sites_to_judge(drawn: Honeycomb, value: float) -> None:
    blank = np.full((512, 512), value, np.float32)
    assert not finder_for(drawn.counts).prepare(blank, locked(drawn.counts)).is_periodic


def test_lock_of_another_crystal_shows_its_own_vectors(drawn: Honeycomb) -> None:
    finder = SiteFinder(in_force("srtio3").detector.model.rule)
    view = finder.prepare(drawn.counts, locked(drawn.counts))
    assert abs(view.period_px / finder.rule.period_px - 1) > 0.02


def test_sites_on_another_picture_are_where_the_lattice_has_them(
    drawn: Honeycomb, view: View
) -> None:
    picture = np.zeros_like(drawn.counts)

    moved = sites_on(picture, view, locked(drawn.counts))

    assert moved.image is picture
    inner = ((drawn.holes_yx > 5) & (drawn.holes_yx < 506)).all(axis=1)
    assert gaps(drawn.holes_yx[inner], moved.places_yx).max() < 1.0


def test_fraction_is_found_where_the_middle_is_empty(drawn: Honeycomb) -> None:
    counts = drawn.counts.copy()
    counts[120:400, 120:400] = 6.0
    finder, lock = finder_for(drawn.counts), locked(drawn.counts)

    whole = site_fraction(finder.level(drawn.counts), finder.rule, lock)
    ring = site_fraction(finder.level(counts), finder.rule, lock)

    assert whole is not None
    assert ring is not None
    assert np.abs((whole - ring + 0.5) % 1.0 - 0.5).max() < 0.05
