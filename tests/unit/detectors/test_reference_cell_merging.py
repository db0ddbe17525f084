"""Which columns that are wrong together are one defect."""

import dataclasses

import numpy as np

from latticewatch.detectors.lattice import find_lattice
from latticewatch.detectors.lock import lock_lattice
from latticewatch.detectors.reference_cell.explain import Change
from latticewatch.detectors.reference_cell.maker import ResidueMaker
from latticewatch.detectors.reference_cell.merging import merged
from latticewatch.detectors.reference_cell.parameters import ReferenceCellParameters
from latticewatch.detectors.reference_cell.residue import Residue
from support.crystals import net_frame

PERIOD_PX = 20.0


def residue() -> Residue:
    """Explain a square net; a step of the site's number goes along a row."""
    frame = net_frame([[PERIOD_PX, 0.0], [0.0, PERIOD_PX]])
    lattice = find_lattice(frame)
    assert lattice is not None
    lock = lock_lattice(frame, lattice)
    assert lock is not None
    made = ResidueMaker(ReferenceCellParameters()).explain(frame, lock)
    assert made is not None
    steps = np.stack([np.full(12, 3.0), np.arange(12.0)], axis=1)
    sites = dataclasses.replace(made.sites, places_yx=made.nearest_px * steps)
    return dataclasses.replace(made, sites=sites)


NET = residue()


def change(site: int, kind: str, moved_px_yx: tuple[float, float] = (0.0, 0.0)) -> Change:
    moved = np.array(moved_px_yx)
    place = NET.places_yx[site] + (moved if kind == "displaced" else 0.0)
    return Change(site, -50.0 - site, kind, place, 0.5, moved, (0.1, 0.0, 0.1))


def sites_of(changes: list[Change]) -> list[int]:
    return sorted(one.site for one in merged(changes, NET))


def test_two_missing_neighbours_are_one_defect_in_their_middle() -> None:
    one, other = change(4, "deficit"), change(5, "deficit")
    middle = (one.place_yx + other.place_yx) / 2
    (kept,) = merged([one, other], NET)
    np.testing.assert_allclose(kept.place_yx, middle, atol=0.1)


def test_many_missing_neighbours_are_as_many_defects() -> None:
    assert sites_of([change(k, "deficit") for k in range(4)]) == [0, 1, 2, 3]


def test_missing_columns_that_are_no_neighbours_stay_two() -> None:
    assert sites_of([change(2, "deficit"), change(4, "deficit")]) == [2, 4]


def test_row_that_is_shifted_as_a_whole_stays_a_row() -> None:
    shifted = [change(k, "displaced", (2.0, 0.5)) for k in range(3)]
    assert sites_of(shifted) == [0, 1, 2]


def test_bond_that_has_turned_is_one_defect_with_the_neighbours_that_it_pulls() -> None:
    turned = [change(3, "displaced", (3.0, 1.0)), change(4, "displaced", (-3.0, -1.0))]
    pulled = [change(2, "displaced", (-0.5, 0.0)), change(5, "displaced", (0.5, -0.5))]
    assert len(merged([*turned, *pulled], NET)) <= 2
    assert len(merged(turned, NET)) == 1


def test_one_column_found_from_two_sites_is_one() -> None:
    reach_px = 0.4 * NET.nearest_px
    twice = [change(3, "displaced", (0.0, reach_px)), change(4, "displaced", (0.5, -reach_px))]
    assert len(merged(twice, NET)) == 1
