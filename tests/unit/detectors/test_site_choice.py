"""The extrema that are sites are chosen from the frame, one per cell and all with neighbours."""

import numpy as np
import pytest

from latticewatch.detectors.lattice import find_lattice
from latticewatch.detectors.site_choice import choose_site_rule, two_class_threshold
from latticewatch.detectors.sites import SiteFinder, SiteRule
from support.crystals import CRYSTALS, Image, image_of, net_frame, specimen


def chosen(frame: Image) -> tuple[SiteRule, float]:
    lattice = find_lattice(frame)
    assert lattice is not None
    return choose_site_rule(frame, lattice, smooth_sigma=0.13, min_distance=0.25)


def sites_per_cell(frame: Image, rule: SiteRule) -> float:
    view = SiteFinder(rule).prepare(frame)
    return len(view.places_yx) * abs(float(np.linalg.det(view.basis_px_yx))) / frame.size


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_a_cell_has_one_site_and_every_site_neighbours(crystal: str) -> None:
    frame = image_of(specimen(crystal, seed=3)[0])

    rule, linked = chosen(frame)

    assert sites_per_cell(frame, rule) == pytest.approx(1.0, abs=0.1)
    assert linked > 0.9


def test_bright_columns_are_bright_sites_and_dark_ones_dark() -> None:
    frame = net_frame([[20.0, 3.0], [-3.0, 20.0]])

    assert chosen(frame)[0].polarity == 1
    assert chosen(40.0 - frame)[0].polarity == -1


def test_the_brighter_of_two_species_are_the_sites() -> None:
    basis = [[20.0, 0.0], [0.0, 20.0]]
    frame = 2 * net_frame(basis) + net_frame(basis, motif=((0.5, 0.5),), seed=1)

    rule, linked = chosen(frame)

    # Two per cell would be all columns; the frame's edge takes a few.
    assert 0.8 < sites_per_cell(frame, rule) < 1.1
    assert linked > 0.9


def test_threshold_lies_in_the_gap_however_uneven_the_classes() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0.2, 0.02, 30), rng.normal(0.9, 0.02, 700)])

    assert 0.3 < two_class_threshold(values) < 0.8
